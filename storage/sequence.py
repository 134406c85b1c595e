"""Gap-free running numbers, taken inside the transaction that uses them."""

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field

from storage.columns import Big, Mechanism
from storage.kernel.numbers import with_check
from storage.unit import Unit


class Sequence(Mechanism, table=True):
    """The last number given out under one name."""

    __tablename__ = "sequence"

    name: str = Field(primary_key=True)
    last: int = Field(default=0, sa_type=Big)


def next_in_sequence(unit: Unit, name: str) -> int:
    """The next number of `name`, starting at 1. Rolled back with the Unit, so no number is lost."""
    row = unit.session.get(Sequence, name, with_for_update=True)
    if row is None:
        # Two first takers at once: one inserts, the other waits for it and then reads what it left.
        insert = sqlite.insert if unit.session.get_bind().dialect.name == "sqlite" else postgresql.insert
        unit.session.connection().execute(insert(Sequence).values(name=name, last=0).on_conflict_do_nothing())
        row = unit.session.get_one(Sequence, name, with_for_update=True)
    row.last += 1
    unit.session.add(row)
    unit.session.flush()
    return row.last


def document_number(unit: Unit, prefix: str, year: int) -> str:
    """A document number such as `DD-2026-000012-K`: prefix, year, running number, check character."""
    return with_check(f"{prefix}-{year}-{next_in_sequence(unit, f'{prefix}-{year}'):06d}")
