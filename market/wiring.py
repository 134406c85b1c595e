"""All that follows by itself from what happened, on one page.

A Reaction changes things inside the Unit that moves its cursor. An Errand is slow work that may run
twice: it gets the House and the entry. Which room carries out a decision stands in `market.casework`.
"""

import io
from typing import Protocol

import segno
from joserfc.jwk import OKPKey

from contracts import actions as contracts
from contracts.detached import key_id
from contracts.pdf import render_certificate, render_pdf
from contracts.queries import one_contract
from market import casework
from market.billing import actions as billing
from market.billing import checkout, signatures
from market.billing.queries import issued_invoice
from market.billing.rails import Rail
from market.billing.rules import RailKind
from market.identity import postman
from market.registry import certificates, register
from market.registry.certificate_face import printed_lines
from market.registry.queries import certificate_by_id
from market.settings import Settings
from market.trading import actions as trading
from storage.dispatch import Errand, Reaction
from storage.journal import Entry
from storage.kernel import clock
from storage.objects import Objects, keep
from storage.unit import Store, Unit


class Context(Protocol):
    """What an errand may use of the house."""

    store: Store
    objects: Objects
    settings: Settings

    def send(self, task: str, *arguments: str) -> None: ...
    def rail(self, kind: RailKind) -> Rail: ...
    def document_key(self) -> OKPKey: ...


def _cleanse(house: Context, entry: Entry) -> None:
    """A requested or re-queued run goes to the queue."""
    house.send("refinery.cleanse", entry.subject.removeprefix("run:"))


def _print_contract(house: Context, entry: Entry) -> None:
    """A witnessed contract is printed and kept."""
    contract_id = entry.subject.removeprefix("contract:")
    with house.store.view() as view:
        contract = one_contract(view, contract_id)
    if contract.pdf_sha256 is not None or contract.document is None:
        return
    printed = house.objects.put_bytes(render_pdf(contract.content, contract.document["acceptances"]))
    with house.store.unit("system:print") as unit:
        keep(unit, printed)
        contracts.attach_pdf(unit, contract_id, printed.sha256)


def issue_certificate(house: Context, certificate_id: str) -> None:
    """A certificate drawn at the registrar's is signed and printed; done already is fine."""
    with house.store.view() as view:
        drawn = certificate_by_id(view, certificate_id)
    if drawn is None or drawn.pdf_sha256 is not None:
        return
    document = drawn.document or certificates.sign(drawn.content, house.document_key(), at=clock.now())
    address = f"{house.settings.public_url}/verify/{drawn.number}"
    pdf = render_certificate(
        printed_lines(drawn.content), fingerprint=drawn.content_hash, address=address, qr=_qr(address)
    )
    printed = house.objects.put_bytes(pdf)
    with house.store.unit("system:print") as unit:
        keep(unit, printed)
        register.attach_signature(unit, certificate_id, document=document, pdf_sha256=printed.sha256)


def _issue(house: Context, entry: Entry) -> None:
    issue_certificate(house, entry.subject.removeprefix("certificate:"))


def sign_invoice(house: Context, invoice_id: str) -> None:
    """An issued invoice or credit note is signed; done already is fine."""
    with house.store.view() as view:
        invoice = issued_invoice(view, invoice_id)
    if invoice.signature is None:
        key = house.document_key()
        signature = signatures.sign(invoice, key)
        with house.store.unit("system:sign") as unit:
            billing.attach_signature(unit, invoice_id, signature=signature, key_id=key_id(key))


def _sign(house: Context, entry: Entry) -> None:
    """What was issued, or the note that takes it back."""
    note = entry.data["note"] if entry.kind == "invoice.credited" else None
    sign_invoice(house, note or entry.subject.removeprefix("invoice:"))


def _qr(address: str) -> str:
    picture = io.BytesIO()
    segno.make(address, error="m").save(picture, kind="svg", xmldecl=False, border=1)
    return picture.getvalue().decode()


def _post(house: Context, _entry: Entry) -> None:
    """Mail leaves soon after the Unit that wrote it; what fails is tried again by the clock."""
    postman.send_waiting(house.store, house.settings)


def _close_checkouts(house: Context, entry: Entry) -> None:
    """A payment that is over leaves no page behind on which it could be paid again."""
    if house.settings.stripe.on:
        rail = house.rail(RailKind.STRIPE)
        checkout.close_checkouts(house.store, rail, entry.subject.removeprefix("payment:"))


def effects(zone: str) -> tuple[Reaction | Errand[Context], ...]:
    """Every reaction and errand of a market whose days are counted in `zone`."""

    def activate(unit: Unit, entry: Entry) -> None:
        trading.activate_paid(unit, entry, zone)

    def approve_by_rule(unit: Unit, entry: Entry) -> None:
        casework.approve_by_rule(unit, entry.subject.removeprefix("case:"), zone)

    return (
        Reaction("activate-paid-orders", frozenset({"payment.confirmed"}), activate),
        Reaction("approve-by-rule", frozenset({"case.opened", "case.resubmitted"}), approve_by_rule),
        Errand("cleanse-runs", frozenset({"run.requested", "run.requeued"}), _cleanse),
        Errand(
            "postman",
            frozenset(
                {
                    "case.approved",
                    "case.commented",
                    "case.escalated",
                    "case.expired",
                    "case.handed_over",
                    "case.rejected",
                    "case.reminded",
                    "case.returned",
                    "case.taken",
                    "link.made",
                    "order.activated",
                    "usage.threshold",
                }
            ),
            _post,
        ),
        Errand(
            "close-checkouts",
            frozenset({"payment.received", "payment.confirmed", "payment.cancelled", "payment.expired"}),
            _close_checkouts,
        ),
        Errand("issue-certificates", frozenset({"certificate.drawn"}), _issue),
        Errand("print-contracts", frozenset({"contract.witnessed"}), _print_contract),
        Errand("sign-invoices", frozenset({"invoice.issued", "invoice.credited"}), _sign),
    )
