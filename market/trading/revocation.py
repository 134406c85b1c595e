"""申请撤销许可 A provider asks to end a license for good; a compliance officer decides it in a case."""

from typing import Any

from contracts import actions as contracts
from contracts.rules import LICENSE
from contracts.tables import License
from market.approvals import actions as approvals
from market.approvals.rules import CaseKind, CaseState, Ground, RiskPoint, reason_faults
from market.approvals.tables import Case
from market.identity.rules import Actor, Permission
from market.trading.actions import complete_order
from metering import actions as metering
from storage.kernel.problem import Invalid, NotFound
from storage.kernel.words import Words
from storage.unit import Unit, View

FACTS: dict[str, Words] = {
    "license": Words("许可", "License"),
    "state": Words("许可状态", "State"),
    "buyer": Words("买方", "Buyer"),
    "product": Words("产品", "Product"),
    "serve_until": Words("有效期至", "Valid until"),
    "asked_for": Words("申请理由", "Why it is asked for"),
}


def ask_revocation(unit: Unit, actor: Actor, license_id: str, *, reason: str, zone: str) -> Case:
    """申请撤销许可. The provider of a license asks compliance to end it for good.

    Raises Forbidden, NotFound for another's license, WrongState for one that has ended, Invalid, CaseOpen.
    """
    actor.require(Permission.OFFER_ACCEPT)
    row = _of_seller(unit, actor, license_id)
    LICENSE.after(row.state, "revoke")
    if faults := reason_faults(reason):
        raise Invalid(*faults)
    return approvals.open_case(
        unit,
        kind=CaseKind.REVOCATION,
        subject=f"license:{license_id}",
        submitted_by=actor.id,
        submitted_org=actor.own_org,
        ground=ground_of(unit, license_id, reason.strip()),
        zone=zone,
    )


def ask_again(unit: Unit, actor: Actor, case_id: str, *, note: str, zone: str) -> Case:
    """补正再送. The same request with better grounds after a return. Raises NotFound, NotYours, WrongState, Invalid."""
    case = approvals.locked(unit, case_id)
    if case.kind is not CaseKind.REVOCATION or case.submitted_org != actor.own_org:
        raise NotFound(case=case_id)
    ground = ground_of(unit, case.subject.removeprefix("license:"), note.strip())
    return approvals.resubmit(unit, actor, case_id, note=note, needs=1, ground=ground, zone=zone)


def settle_revocation(unit: Unit, case: Case, reason: str) -> None:
    """办结撤销申请. An approval ends the license; tokens minted a second ago are refused. Raises WrongState."""
    if case.state is not CaseState.APPROVED:
        return
    license_id = case.subject.removeprefix("license:")
    metering.shut_gate(unit, license_id, reason="revoked")
    contracts.revoke_license(unit, license_id, reason=reason)
    complete_order(unit, license_id)


def ground_of(view: View, license_id: str, asked_for: str) -> Ground:
    """送审依据. What a request to revoke stands on now; the reason given stands beside it."""
    row = view.session.get_one(License, license_id)
    facts: dict[str, Any] = {
        "license": row.number,
        "state": str(row.state),
        "buyer": row.buyer_id,
        "product": row.product_id,
        "serve_until": row.serve_until.isoformat() if row.serve_until else None,
        "asked_for": asked_for,
    }
    final = RiskPoint("final", 60, Words("不可恢复，影响买方业务", "Final, and the buyer relies on it"))
    return Ground(facts, (final,))


def _of_seller(unit: Unit, actor: Actor, license_id: str) -> License:
    row = unit.session.get(License, license_id, with_for_update={"key_share": True}, populate_existing=True)
    if row is None or row.seller_id != actor.own_org:
        raise NotFound(license=license_id)
    return row
