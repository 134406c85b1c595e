"""One at a time: what two workers may begin at once, and only one may do."""

from storage.unit import Unit

# Whose turn it is: names of PostgreSQL's advisory locks, beside the one of the period in metering.books.
KEYS, STEPS, ANOMALIES, SEALS = 7_308_604_897, 7_308_604_911, 7_308_604_912, 7_308_604_913


def take_turn(unit: Unit, turn: int) -> None:
    """Wait until nobody else holds this turn, and hold it to the end of the Unit; SQLite has one writer anyway."""
    connection = unit.session.connection()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({turn})")
