"""Invoices: numbered without gaps, drawn on prepaid first, frozen in the database, closed for good."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import select

from contracts.actions import revoke_license
from contracts.terms import Tier
from market.billing import actions, books, queries
from market.billing.guards import create_guards, drop_guards
from market.billing.ledger import PLATFORM_FEE, TAX, payable, prepaid, receivable, received, treasury
from market.billing.problems import (
    BooksDiffer,
    InvoiceDiffers,
    NothingToInvoice,
    PeriodClosed,
    SecondPersonNeeded,
)
from market.billing.reconcile import differences
from market.billing.rules import (
    Difference,
    InvoiceKind,
    InvoiceState,
)
from market.billing.tables import Invoice, InvoiceLine
from market.identity.problems import Forbidden
from market.identity.rules import Actor
from market.settings import Settings
from storage.database import Database
from storage.kernel import clock
from storage.kernel.canonical import canonical, sha256_hex
from storage.kernel.numbers import has_valid_check
from storage.kernel.problem import Conflict, Invalid, NotFound, WrongState
from storage.settings import Durability, StorageSettings
from storage.unit import Store
from tests.market.billing.deals import MARCH, Deal, issue, licensed


def credit(store: Store, amount_fen: int) -> None:
    with store.unit("system:test") as unit:
        unit.record("thing.made", "thing:1")
        booking = received("bank_transfer", f"B{amount_fen}", prepaid("pty_buyer"), amount_fen)
        books.post(unit, booking, subject="thing:1")


def stands_at(store: Store) -> dict[str, int]:
    accounts = {
        "prepaid": prepaid("pty_buyer"),
        "receivable": receivable("pty_buyer"),
        "payable": payable("pty_provider"),
        "fee": PLATFORM_FEE,
        "tax": TAX,
    }
    with store.view() as view:
        return {name: books.balance_of(view, account) for name, account in accounts.items()}


@pytest.mark.parametrize(
    ("held", "prepaid_left", "owed"),
    [(0, 0, 21_200), (8000, 0, 13_200), (30_000, 8800, 0)],
)
def test_an_invoice_draws_prepaid_first_and_shares_the_rest(
    store: Store,
    deal: Deal,
    held: int,
    prepaid_left: int,
    owed: int,
) -> None:
    if held:
        credit(store, held)
    invoice = issue(store, deal)
    assert stands_at(store) == {
        "prepaid": prepaid_left,
        "receivable": -owed,
        "payable": 18_000,
        "fee": 2000,
        "tax": 1200,
    }
    assert (invoice.state, invoice.gross_fen - invoice.paid_fen) == ("issued" if owed else "paid", owed)
    document = json.loads(invoice.document)
    assert document["total"] == {
        "net_fen": 20_000,
        "tax_fen": 1200,
        "gross_fen": 21_200,
        "prepaid_fen": 21_200 - owed,
        "due_fen": owed,
    }
    assert document["buyer"] == deal.parties.buyer
    assert document["lines"][0]["merkle_root"] == "aa" * 32
    assert canonical(document).decode() == invoice.document
    assert sha256_hex(invoice.document.encode()) == invoice.sha256


@pytest.mark.parametrize("durability", Durability)
def test_an_invoice_of_usage_says_what_its_charges_waited_for(
    store: Store, deal: Deal, durability: Durability
) -> None:
    told = replace(deal, settings=deal.settings.model_copy(update={"durability": durability}))
    usage = issue(store, told)
    fee = issue(store, told, charge="fee:ord_1", kind=InvoiceKind.FEE)
    assert [json.loads(each.document)["durability"] for each in (usage, fee)] == [str(durability), None]


def test_what_invoices_say_of_durability_follows_the_setting_of_the_database(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, storage=StorageSettings(standby=True)).settled()
    assert settings.billing.durability is Durability.STANDBY


def test_the_same_charge_is_one_invoice_and_other_content_is_refused(store: Store, deal: Deal) -> None:
    first = issue(store, deal)
    assert issue(store, deal).id == first.id
    with pytest.raises(InvoiceDiffers):
        issue(store, replace(deal, lines=[replace(deal.lines[0], merkle_root="bb" * 32)]))
    assert stands_at(store)["receivable"] == -21_200


def test_numbers_have_no_gap_even_when_an_issue_fails(store: Store, deal: Deal) -> None:
    first = issue(store, deal)
    with pytest.raises(KeyboardInterrupt), clock.held(MARCH), store.unit("system:billing") as unit:
        actions.issue_invoice(
            unit,
            kind=InvoiceKind.FEE,
            charge="fee:ord_2",
            license_id="lic_1",
            period="2027-02",
            parties=deal.parties,
            lines=deal.lines,
            settings=deal.settings,
        )
        raise KeyboardInterrupt
    second = issue(store, deal, charge="usage:lic_2:2027-02")
    assert [first.number[:14], second.number[:14]] == ["FP-2027-000001", "FP-2027-000002"]
    assert has_valid_check(first.number)
    with store.view() as view:
        assert differences(view) == []


def test_the_number_carries_the_year_of_the_markets_zone(store: Store, deal: Deal) -> None:
    with clock.held(datetime(2026, 12, 31, 17, tzinfo=UTC)), store.unit("system:billing") as unit:
        invoice = actions.issue_invoice(
            unit,
            kind=InvoiceKind.FEE,
            charge="fee:ord_1",
            license_id="lic_1",
            period="2027-01",
            parties=deal.parties,
            lines=deal.lines,
            settings=deal.settings,
        )
    assert invoice.number.startswith("FP-2027-")
    assert invoice.due_on.isoformat() == "2027-01-16"


def test_free_things_have_no_invoice(store: Store, deal: Deal) -> None:
    with pytest.raises(NothingToInvoice):
        issue(store, replace(deal, lines=[]))


def copied(table: Any, **changes: str) -> str:
    """The SQL that writes each row of a table again with other values, given as SQL."""
    columns = [column.name for column in table.__table__.columns]
    values = ", ".join(changes.get(name, name) for name in columns)
    name = table.__tablename__
    return f"INSERT INTO {name} ({', '.join(columns)}) SELECT {values} FROM {name}"


ANOTHER = {"id": "'inv_2'", "number": "'FP-2027-000002-X'", "charge": "'usage:lic_free:2027-02'"}


@pytest.mark.parametrize(
    "statement",
    [
        copied(Invoice, **ANOTHER, license_id="'lic_free'"),
        copied(Invoice, **ANOTHER, license_id="'lic_free'", tier="'public_good'"),
        copied(Invoice, **ANOTHER, license_id="'lic_nowhere'"),
        copied(Invoice, **ANOTHER, license_id="NULL"),
        copied(InvoiceLine, number="2", license_id="'lic_free'"),
        copied(InvoiceLine, number="2", license_id="'lic_free'", tier="'public_good'"),
        copied(InvoiceLine, number="2", license_id="NULL"),
        "UPDATE license SET tier = 'public_good'",
    ],
)
def test_the_database_itself_refuses_to_bill_a_public_good(
    store: Store, database: Database, deal: Deal, statement: str
) -> None:
    licensed(store, "lic_free", tier=Tier.PUBLIC_GOOD)
    issue(store, deal)
    with pytest.raises(IntegrityError), database.writing() as connection:
        connection.exec_driver_sql(statement)
    with database.writing() as connection:  # the same of a commercial license is written
        connection.exec_driver_sql(copied(Invoice, **ANOTHER, license_id="'lic_2'"))
        connection.exec_driver_sql(copied(InvoiceLine, number="2", license_id="'lic_2'"))


def test_a_license_ends_while_its_invoice_is_being_issued(store: Store, deal: Deal) -> None:
    """The key that names it is no lock on its end; on SQLite there is one writer at a time anyway."""

    def revoke() -> None:
        with store.unit("system:test") as unit:
            revoke_license(unit, "lic_1", reason="违反约定用途")

    with ThreadPoolExecutor(1) as pool:
        with clock.held(MARCH), store.unit("system:billing") as unit:
            actions.issue_invoice(
                unit,
                kind=InvoiceKind.USAGE,
                charge="usage:lic_1:2027-02",
                period="2027-02",
                license_id="lic_1",
                parties=deal.parties,
                lines=deal.lines,
                settings=deal.settings,
            )
            ended = pool.submit(revoke)
            if not store.database.is_sqlite:
                ended.result(timeout=10)
        ended.result(timeout=10)


def test_incomplete_party_blocks_are_named(store: Store, deal: Deal) -> None:
    with pytest.raises(Invalid) as refusal:
        issue(store, replace(deal, parties=replace(deal.parties, seller={"id": "pty_x"})))
    assert [fault.field for fault in refusal.value.faults] == ["seller.name", "seller.id_number"]


def test_a_budget_units_share_goes_to_the_treasury(store: Store, deal: Deal) -> None:
    issue(store, replace(deal, parties=replace(deal.parties, budget_unit=True)))
    with store.view() as view:
        assert books.balance_of(view, treasury("pty_provider")) == 18_000
    assert stands_at(store)["payable"] == 0


FORBIDDEN = [
    "UPDATE invoice SET gross_fen = gross_fen + 1, net_fen = net_fen + 1",
    "UPDATE invoice SET document = '{}'",
    "UPDATE invoice SET number = 'FP-2027-000009-X'",
    "UPDATE invoice SET signature = 'forged'",
    "DELETE FROM invoice_line",
    "UPDATE invoice_line SET quantity = quantity + 1",
    "UPDATE ledger_posting SET amount_fen = 1",
    "DELETE FROM ledger_posting",
    "DELETE FROM ledger_transaction",
    "UPDATE billing_period SET gross_fen = 0",
    "DELETE FROM billing_period",
]


def test_the_database_itself_refuses_changes_to_what_was_issued(
    store: Store,
    database: Database,
    alice: Actor,
    deal: Deal,
) -> None:
    with clock.held(MARCH), store.unit(alice.id) as unit:
        actions.close_period(unit, alice, period="2027-02", usages=[deal.usage()], settings=deal.settings)
    with store.view() as view:
        invoice = view.session.exec(select(Invoice)).one()
    with store.unit("system:billing") as unit:
        actions.attach_signature(unit, invoice.id, signature="sig", key_id="doc-1")
    for statement in FORBIDDEN:
        with pytest.raises(DBAPIError, match="never changes"), database.writing() as connection:
            connection.exec_driver_sql(statement)
    with store.unit("system:billing") as unit:  # the same again is harmless, another one is not
        actions.attach_signature(unit, invoice.id, signature="sig", key_id="doc-1")
    with pytest.raises(Conflict), store.unit("system:billing") as unit:
        actions.attach_signature(unit, invoice.id, signature="other", key_id="doc-1")


def test_guards_come_and_go(store: Store, database: Database) -> None:
    with database.writing() as connection:
        create_guards(connection)
        create_guards(connection)
        drop_guards(connection)
        drop_guards(connection)
        create_guards(connection)


def test_a_buyer_pays_what_is_open(
    store: Store,
    alice: Actor,
    buyer: Actor,
    rival: Actor,
    deal: Deal,
) -> None:
    credit(store, 1200)
    invoice = issue(store, deal)
    with pytest.raises(NotFound), store.unit(rival.id, rival.org) as unit:
        actions.pay_invoice(unit, rival, invoice.id)
    ids = set()
    for _ in range(2):
        with store.unit(buyer.id, buyer.org) as unit:
            payment = actions.pay_invoice(unit, buyer, invoice.id)
            ids.add(payment.id)
    assert (len(ids), payment.amount_fen) == (1, 20_000)
    with store.unit("system:trading") as unit:
        assert actions.cancel_order_payments(unit, "ord_1", reason="订单终止") == []
        unit.record("order.ended", "order:ord_1")
    with store.unit(alice.id, alice.org) as unit:
        actions.report_received(unit, alice, payment.id, amount_fen=20_000, bank_reference="B-12")
    bob = replace(alice, id="usr_bob")
    with store.unit(bob.id, bob.org) as unit:
        actions.confirm_payment(unit, bob, payment.id)
    with store.view() as view:
        paid, kept = queries.invoice(view, buyer, invoice.number)
        assert (paid.state, paid.paid_fen, len(kept)) == (InvoiceState.PAID, 21_200, 1)
        with pytest.raises(NotFound):
            queries.invoice(view, rival, invoice.id)
        assert queries.invoices(view, rival) == []
        assert [row.id for row in queries.invoices(view, buyer)] == [invoice.id]
        assert [row.id for row in queries.invoices(view, alice, period="2027-02")] == [invoice.id]
    assert stands_at(store)["receivable"] == 0
    with pytest.raises(WrongState), store.unit(buyer.id, buyer.org) as unit:
        actions.pay_invoice(unit, buyer, invoice.id)


def test_invoices_fall_due(store: Store, deal: Deal) -> None:
    invoice = issue(store, deal)
    for days, marked in ((0, 0), (1, 1), (1, 0)):
        with store.unit("system:clock") as unit:
            assert len(actions.mark_overdue(unit, today=invoice.due_on + timedelta(days=days))) == marked


@pytest.mark.parametrize("held", [0, 8000, 30_000])
def test_a_credit_note_takes_an_invoice_back_whole(
    store: Store,
    alice: Actor,
    deal: Deal,
    held: int,
) -> None:
    if held:
        credit(store, held)
    invoice = issue(store, deal)
    with store.unit(alice.id, alice.org) as unit:
        note = actions.credit_invoice(unit, alice, invoice.id, reason="计量有误", settings=deal.settings)
    assert json.loads(note.document)["credits"] == {"number": invoice.number, "sha256": invoice.sha256}
    assert stands_at(store) == {"prepaid": held, "receivable": 0, "payable": 0, "fee": 0, "tax": 0}
    with pytest.raises(WrongState), store.unit(alice.id, alice.org) as unit:
        actions.credit_invoice(unit, alice, invoice.id, reason="再次", settings=deal.settings)
    with store.view() as view:
        found = [d for d in differences(view) if d.check != "clearing.unexplained"]
        assert found == []


def test_nobody_takes_back_what_they_issued(store: Store, alice: Actor, deal: Deal) -> None:
    with clock.held(MARCH), store.unit(alice.id, alice.org) as unit:
        actions.close_period(unit, alice, period="2027-02", usages=[deal.usage()], settings=deal.settings)
        invoice = unit.session.exec(select(Invoice)).one()
    with pytest.raises(SecondPersonNeeded), store.unit(alice.id, alice.org) as unit:
        actions.credit_invoice(unit, alice, invoice.id, reason="计量有误", settings=deal.settings)


def test_a_closed_period_never_changes(
    store: Store,
    alice: Actor,
    buyer: Actor,
    deal: Deal,
) -> None:
    usages = [deal.usage(f"lic_{n}", used=n != 2) for n in (3, 1, 2)]
    with pytest.raises(Forbidden), store.unit(buyer.id) as unit:
        actions.close_period(unit, buyer, period="2027-02", usages=usages, settings=deal.settings)
    with clock.held(MARCH), pytest.raises(Invalid), store.unit(alice.id) as unit:
        actions.close_period(unit, alice, period="２０２７-02", usages=usages, settings=deal.settings)
    early = datetime(2027, 2, 28, 15, 59, tzinfo=UTC)
    with clock.held(early), pytest.raises(Invalid), store.unit(alice.id) as unit:
        actions.close_period(unit, alice, period="2027-02", usages=usages, settings=deal.settings)
    bad = [Difference("rollup", "license:lic_1", 1, 2)]
    with clock.held(MARCH), pytest.raises(BooksDiffer), store.unit(alice.id) as unit:
        actions.close_period(
            unit, alice, period="2027-02", usages=usages, settings=deal.settings, differences=bad
        )
    with clock.held(MARCH), store.unit(alice.id) as unit:
        period = actions.close_period(unit, alice, period="2027-02", usages=usages, settings=deal.settings)
    assert (period.state, period.invoices, period.gross_fen) == ("closed", 2, 42_400)
    with pytest.raises(PeriodClosed):
        issue(store, deal, charge="usage:lic_9:2027-02")
    with clock.held(MARCH), pytest.raises(PeriodClosed), store.unit(alice.id) as unit:
        actions.close_period(unit, alice, period="2027-02", usages=[], settings=deal.settings)
    with store.view() as view:
        assert len(queries.invoices(view, alice)) == 2
        assert differences(view) == []


def test_reconciliation_shows_what_was_tampered_with(
    store: Store,
    database: Database,
    deal: Deal,
) -> None:
    invoice = issue(store, deal)
    issue(store, deal, charge="usage:lic_2:2027-02")
    with database.writing() as connection:
        drop_guards(connection)
        for statement in (
            "UPDATE account_balance SET balance_fen = balance_fen + 5 WHERE account = 'tax'",
            f"UPDATE invoice_line SET gross_fen = 21201, net_fen = 20001 WHERE invoice_id = '{invoice.id}'",
            f"UPDATE invoice SET sha256 = 'x' WHERE id = '{invoice.id}'",
            "UPDATE invoice SET number = 'FP-2027-000007-X' WHERE charge = 'usage:lic_2:2027-02'",
        ):
            connection.execute(sa.text(statement))
    with store.view() as view:
        checks = {d.check for d in differences(view)}
    assert checks >= {
        "ledger.zero",
        "balance.fold",
        "invoice.lines_gross",
        "invoice.lines_net",
        "invoice.hash",
        "invoice.gap",
        "invoice.document",
        "invoice.ledger",
    }
