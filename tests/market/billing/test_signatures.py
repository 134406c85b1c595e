"""A signed invoice: what the check of its file finds, and what in it may not be changed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc.jwk import OKPKey
from sqlmodel import select

from contracts.detached import public_keys, sign_detached
from contracts.keyring import trusted_keys
from market.billing import actions
from market.billing.guards import create_guards, drop_guards
from market.billing.queries import invoices_to_sign, issued_invoice
from market.billing.signatures import Check, is_signed, sign, signed_file, verify
from market.billing.tables import Invoice
from market.chores import each_hour
from market.house import House
from market.identity.rules import Actor
from market.trading.reconcile import differences
from storage.kernel.canonical import digest
from storage.unit import Store
from tests.market.billing.deals import Deal, issue, licensed

KEY = OKPKey.generate_key("Ed25519", {"kid": "house-1"})
TRUSTED = {"house-1": KEY}
File = dict[str, Any]


@pytest.fixture
def invoice(store: Store, deal: Deal) -> Invoice:
    invoice = issue(store, deal)
    with store.unit("system:sign") as unit:
        return actions.attach_signature(unit, invoice.id, signature=sign(invoice, KEY), key_id="house-1")


@pytest.fixture
def file(invoice: Invoice) -> File:
    file = signed_file(invoice)
    assert file is not None
    return file


def test_a_signed_invoice_is_genuine_and_names_the_root_of_its_statement(
    invoice: Invoice, file: File
) -> None:
    verdict = verify(json.dumps(file, ensure_ascii=False, indent=2).encode(), TRUSTED)
    assert [finding.check for finding in verdict.findings] == list(Check)
    assert verdict.genuine
    assert (verdict.number, verdict.content_hash) == (invoice.number, invoice.sha256)
    assert (verdict.gross_fen, verdict.root) == (21_200, "aa" * 32)
    assert file["content"]["lines"][0]["count"] == 2000


def test_an_invoice_without_signature_has_no_file(store: Store, deal: Deal) -> None:
    invoice = issue(store, deal)
    assert signed_file(invoice) is None
    assert not is_signed(invoice, TRUSTED)


def _resign(file: File) -> None:
    """As whoever has the key could: nothing but the sums gives it away."""
    file["content_hash"] = digest(file["content"])
    file["signature"] = sign_detached(file["content"], "shugang-invoice+jws", KEY)


def _price(file: File) -> None:
    file["content"]["total"] = {"net_fen": 1, "tax_fen": 0, "gross_fen": 1}


def _line(file: File) -> None:
    del file["content"]["lines"][0]
    _resign(file)


def _half(file: File) -> None:
    file["content"]["total"]["gross_fen"] = 21200.0
    _resign(file)


def _text(file: File) -> None:
    file["content"]["lines"] = "none"
    _resign(file)


def _other_kind(file: File) -> None:
    file["signature"] = sign_detached(file["content"], "shugang-contract+jws", KEY)


def _other_key(file: File) -> None:
    file["kid"] = "house-2"


def _hash(file: File) -> None:
    file["content_hash"] = "Ａ" * 64


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (_price, [Check.CONTENT, Check.TOTALS, Check.SIGNATURE]),
        (_line, [Check.TOTALS]),
        (_half, [Check.TOTALS]),
        (_text, [Check.TOTALS]),
        (_other_kind, [Check.SIGNATURE]),
        (_other_key, [Check.KEY, Check.SIGNATURE]),
        (_hash, [Check.CONTENT]),
    ],
)
def test_what_was_changed_is_named(file: File, change: Callable[[File], None], failed: list[Check]) -> None:
    change(file)
    assert verify(file, TRUSTED).failed == failed
    assert verify(file, TRUSTED).number is None  # nothing of a file that does not hold is passed on


@pytest.mark.parametrize("bad", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, {"format": "x"}, None, 3])
def test_another_file_is_no_invoice(bad: Any) -> None:
    assert verify(bad, TRUSTED).failed == [Check.FORMAT]


def test_the_house_signs_each_invoice_and_each_credit_note_once(
    house: House, alice: Actor, deal: Deal
) -> None:
    with house.database.writing() as connection:
        create_guards(connection)
    licensed(house.store, "lic_1")
    issued = issue(house.store, deal)
    house.pulse.beat()
    with house.store.unit(alice.id, alice.org) as unit:
        note = actions.credit_invoice(unit, alice, issued.id, reason="计量有误", settings=deal.settings)
    house.pulse.beat()
    with house.store.view() as view:
        keys = public_keys(trusted_keys(view))
        rows = {row.id: row for row in view.session.exec(select(Invoice))}
    assert rows.keys() == {issued.id, note.id}
    for row in rows.values():
        verdict = verify(signed_file(row), keys)
        assert verdict.genuine, verdict.failed
        assert verdict.number == row.number
    signatures = {row.signature for row in rows.values()}
    house.pulse.beat()
    with house.store.view() as view:
        assert {row.signature for row in view.session.exec(select(Invoice))} == signatures


def test_what_an_errand_left_unsigned_is_signed_within_the_hour(house: House, deal: Deal) -> None:
    licensed(house.store, "lic_1", "lic_2")
    damaged = issue(house.store, deal)
    with house.database.writing() as connection:
        drop_guards(connection)
        connection.execute(sa.update(Invoice).values(document="{"))
    invoice = issue(house.store, deal, charge="usage:lic_2:2027-02", license_id="lic_2")
    for _ in range(2):
        each_hour(house)
        with house.store.view() as view:
            assert is_signed(issued_invoice(view, invoice.id), public_keys(trusted_keys(view)))
            assert invoices_to_sign(view) == [damaged.id]
            found = [(each.check, each.subject) for each in differences(view)]
            assert found == [("invoice.hash", f"invoice:{damaged.number}")]


def test_reconciliation_shows_a_signature_that_is_not_the_houses(house: House, deal: Deal) -> None:
    licensed(house.store, "lic_1")
    invoice = issue(house.store, deal)
    house.pulse.beat()

    def found() -> list[tuple[str, str]]:
        with house.store.view() as view:
            return [(each.check, each.subject) for each in differences(view)]

    assert found() == []
    forged = sign(invoice, KEY)
    with house.database.writing() as connection:
        drop_guards(connection)
        connection.execute(sa.update(Invoice).values(signature=forged))
    assert found() == [("invoice.signature", f"invoice:{invoice.number}")]
