"""记账 The one way into the ledger's tables: post a transaction once, with its accounts locked in order."""

from collections.abc import Iterable
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel, col, select

from market.billing.ledger import Account, Posting, Transaction, impossible
from market.billing.problems import LedgerConflict, NotEnough
from market.billing.rules import PeriodState
from market.billing.tables import AccountBalance, BillingPeriod, LedgerPosting, LedgerTransaction
from storage.kernel import clock
from storage.unit import Unit, View

Row = TypeVar("Row", AccountBalance, BillingPeriod)


def post(unit: Unit, transaction: Transaction, *, subject: str) -> bool:
    """记账. Book a transaction; False when it was booked before (twice is once).

    Locks the accounts in alphabetical order. Raises LedgerConflict when another transaction has the
    id, NotEnough when an account would stand where it may not.
    """
    fingerprint = transaction.fingerprint()
    known = unit.session.get(LedgerTransaction, transaction.id)
    if known is not None or not _claim(unit, transaction.id, fingerprint, subject):
        known = known or unit.session.get(LedgerTransaction, transaction.id)
        if known is None or known.fingerprint != fingerprint:
            raise LedgerConflict(transaction=transaction.id)
        return False
    changes = transaction.changes()
    rows = lock_accounts(unit, changes)
    after = {account: rows[account].balance_fen + fen for account, fen in changes.items()}
    for account in impossible(after):
        raise NotEnough(account=str(account), balance_fen=rows[account].balance_fen)
    for account, fen in after.items():
        rows[account].balance_fen = fen
        unit.session.add(rows[account])
    for number, posting in enumerate(transaction.postings, start=1):
        unit.session.add(
            LedgerPosting(
                transaction_id=transaction.id,
                number=number,
                source=str(posting.source),
                destination=str(posting.destination),
                amount_fen=posting.amount_fen,
            )
        )
    unit.session.flush()
    return True


def _claim(unit: Unit, transaction_id: str, fingerprint: str, subject: str) -> bool:
    """Insert the transaction's row, or find that somebody did; a twin under way is waited for."""
    values = {
        "id": transaction_id,
        "at": clock.now(),
        "fingerprint": fingerprint,
        "actor": unit.actor,
        "subject": subject,
    }
    return _insert_new(unit, LedgerTransaction, values)


def _insert_new(unit: Unit, table: type[SQLModel], values: dict[str, object]) -> bool:
    dialect = unit.session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    key = sa.inspect(table).primary_key[0]
    statement = insert(table).values(**values).on_conflict_do_nothing().returning(key)
    return unit.session.execute(statement).first() is not None


def _lock_or_make(unit: Unit, table: type[Row], key: str, values: dict[str, object]) -> Row:
    row = unit.session.get(table, key, with_for_update=True, populate_existing=True)
    if row is None:
        _insert_new(unit, table, values)
        row = unit.session.get(table, key, with_for_update=True, populate_existing=True)
    assert row is not None
    return row


def lock_accounts(unit: Unit, accounts: Iterable[Account]) -> dict[Account, AccountBalance]:
    """The accounts' rows, made when new, locked in alphabetical order until the Unit ends."""
    rows = {}
    for account in sorted(accounts, key=str):
        values = {"account": str(account), "kind": account.kind, "owner": account.owner, "balance_fen": 0}
        rows[account] = _lock_or_make(unit, AccountBalance, str(account), values)
    return rows


def lock_period(unit: Unit, period: str) -> BillingPeriod:
    """The period's row, made when new, locked until the Unit ends."""
    values = {"period": period, "state": PeriodState.OPEN, "invoices": 0, "gross_fen": 0}
    return _lock_or_make(unit, BillingPeriod, period, values)


def balance_of(view: View, account: Account) -> int:
    """What an account stands at (fen); zero when it was never used."""
    row = view.session.get(AccountBalance, str(account))
    return row.balance_fen if row else 0


def booked(view: View, transaction_id: str) -> bool:
    """Whether a transaction with this id is in the ledger."""
    found = select(LedgerTransaction.id).where(col(LedgerTransaction.id) == transaction_id)
    return view.session.exec(found).first() is not None


def load(view: View, transaction_id: str) -> Transaction:
    """A booked transaction as a value. Raises KeyError when there is none."""
    rows = view.session.exec(
        select(LedgerPosting)
        .where(col(LedgerPosting.transaction_id) == transaction_id)
        .order_by(col(LedgerPosting.number))
    ).all()
    if not rows:
        raise KeyError(transaction_id)
    return Transaction(
        transaction_id,
        tuple(Posting(Account.parse(r.source), Account.parse(r.destination), r.amount_fen) for r in rows),
    )
