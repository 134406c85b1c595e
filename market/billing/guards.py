"""不可更改 Triggers that keep issued invoices and the ledger as they were written, on both databases."""

from sqlalchemy.engine import Connection

_INVOICE_COLUMNS = (
    "id", "number", "kind", "charge", "credits", "license_id", "order_id", "buyer_id", "payee_id", "period",
    "tax_invoice", "net_fen", "tax_fen", "gross_fen", "issued_at", "issued_by", "due_on", "document", "sha256",
)  # fmt: skip
_SIGNED = "(OLD.signature IS NOT NULL OR OLD.key_id IS NOT NULL)"
# name → (table, event, condition)
_TRIGGERS = {
    "invoice_frozen": ("invoice", f"UPDATE OF {', '.join(_INVOICE_COLUMNS)}", ""),
    "invoice_signed_once": ("invoice", "UPDATE OF signature, key_id", f"WHEN {_SIGNED}"),
    "invoice_kept": ("invoice", "DELETE", ""),
    "invoice_line_frozen": ("invoice_line", "UPDATE", ""),
    "invoice_line_kept": ("invoice_line", "DELETE", ""),
    "ledger_transaction_frozen": ("ledger_transaction", "UPDATE", ""),
    "ledger_transaction_kept": ("ledger_transaction", "DELETE", ""),
    "ledger_posting_frozen": ("ledger_posting", "UPDATE", ""),
    "ledger_posting_kept": ("ledger_posting", "DELETE", ""),
    "billing_period_closed": ("billing_period", "UPDATE", "WHEN OLD.state = 'closed'"),
    "billing_period_kept": ("billing_period", "DELETE", ""),
}


def create_guards(connection: Connection) -> None:
    """Put the triggers up; again is harmless. Call it after the tables exist (and after a table is rebuilt)."""
    drop_guards(connection)
    postgres = connection.dialect.name == "postgresql"
    if postgres:
        connection.exec_driver_sql(
            "CREATE FUNCTION billing_frozen() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'what is booked or issued never changes'; END $$"
        )
    body = (
        "EXECUTE FUNCTION billing_frozen()"
        if postgres
        else "BEGIN SELECT RAISE(ABORT, 'what is booked or issued never changes'); END"
    )
    for name, (table, event, condition) in _TRIGGERS.items():
        when = condition if not postgres else condition.replace("WHEN ", "WHEN (") + ")" * bool(condition)
        connection.exec_driver_sql(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {when} {body}"
        )


def drop_guards(connection: Connection) -> None:
    """Take the triggers down, e.g. before the tables are dropped."""
    postgres = connection.dialect.name == "postgresql"
    for name, (table, _event, _condition) in _TRIGGERS.items():
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if postgres else ""))
    if postgres:
        connection.exec_driver_sql("DROP FUNCTION IF EXISTS billing_frozen()")
