"""All that follows by itself from what happened, on one page.

A Reaction changes things inside the Unit that moves its cursor. An Errand is slow work that may run
twice: it gets the House and the entry. Which room carries out a decision stands here too.
"""

import io
from collections.abc import Sequence
from typing import Protocol

import segno
from joserfc.jwk import OKPKey

from contracts import actions as contracts
from contracts.pdf import render_certificate, render_pdf
from contracts.queries import one_contract
from market.approvals import queries as approvals
from market.approvals.rules import CaseKind
from market.approvals.tables import Case
from market.billing import checkout
from market.billing.rails import Rail
from market.billing.rules import RailKind
from market.catalogue import listing
from market.identity import postman
from market.identity.rules import Actor, Permission
from market.mandates import actions as mandating
from market.registry import certificates, register
from market.registry.certificate_face import printed_lines
from market.registry.queries import certificate_by_id
from market.settings import Settings
from market.trading import actions as trading
from market.trading import holding
from storage.dispatch import Errand, Reaction
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.problem import NotFound
from storage.objects import Objects, keep
from storage.unit import Store, Unit, View


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

    return (
        Reaction("activate-paid-orders", frozenset({"payment.confirmed"}), activate),
        Errand("cleanse-runs", frozenset({"run.requested", "run.requeued"}), _cleanse),
        Errand(
            "postman",
            frozenset(
                {"link.made", "order.approved", "order.rejected", "order.activated", "usage.threshold"}
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
    )


class Decider(Protocol):
    """How a room carries out a decision on a case of its own."""

    def __call__(
        self,
        unit: Unit,
        actor: Actor,
        case_id: str,
        *,
        approve: bool,
        reason: str,
        expected_version: int | None,
        zone: str,
    ) -> object: ...


def _decide_listing(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    approve: bool,
    reason: str,
    expected_version: int | None,
    zone: str,  # noqa: ARG001  # a listing has no term
) -> object:
    return listing.decide_listing(
        unit, actor, case_id, approve=approve, reason=reason, expected_version=expected_version
    )


def _decide_list_edit(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    approve: bool,
    reason: str,
    expected_version: int | None,
    zone: str,  # noqa: ARG001  # lists have a calendar of their own
) -> object:
    return holding.decide_list_edit(
        unit, actor, case_id, approve=approve, reason=reason, expected_version=expected_version
    )


def _decide_mandate(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    approve: bool,
    reason: str,
    expected_version: int | None,
    zone: str,  # noqa: ARG001  # so have mandates
) -> object:
    return mandating.decide_mandate(
        unit, actor, case_id, approve=approve, reason=reason, expected_version=expected_version
    )


# For each kind of case: who may decide, and the room that acts on it.
CASES: dict[CaseKind, tuple[Permission, Decider]] = {
    CaseKind.LISTING: (Permission.LISTING_APPROVE, _decide_listing),
    CaseKind.ORDER: (Permission.ORDER_APPROVE, trading.decide_order),
    CaseKind.LIST_EDIT: (Permission.LIST_APPROVE, _decide_list_edit),
    CaseKind.MANDATE: (Permission.MANDATE_APPROVE, _decide_mandate),
}


def decide_case(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    approve: bool,
    reason: str,
    expected_version: int | None,
    zone: str,
) -> None:
    """审批. Hand a decision to the room the case belongs to. Raises NotFound, and what that room raises."""
    kind = approvals.kind_of(unit, case_id)
    if kind not in CASES:
        raise NotFound(case=case_id)
    _permission, decide = CASES[kind]
    decide(unit, actor, case_id, approve=approve, reason=reason, expected_version=expected_version, zone=zone)


def waiting_cases(view: View, actor: Actor, kind: CaseKind | None = None) -> Sequence[Case]:
    """待审批. What waits for a decision the actor may take, the most urgent first."""
    rows = [
        row
        for each, (permission, _decide) in CASES.items()
        if kind in {None, each} and actor.may(permission)
        for row in approvals.queue(view, actor, permission=permission, kind=each)
    ]
    return sorted(rows, key=lambda row: row.due_at)


def readable_case(view: View, actor: Actor, case_id: str) -> Case:
    """审批事项. One case the actor may see. Raises NotFound."""
    kind = approvals.kind_of(view, case_id)
    if kind not in CASES:
        raise NotFound(case=case_id)
    return approvals.case(view, actor, case_id, permission=CASES[kind][0])
