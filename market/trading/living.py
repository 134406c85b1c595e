"""存续检查 What a living license is used for, compared with what it was granted for: rule T24 of the pack."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from contracts import actions as contracts
from contracts.rules import LICENSE
from contracts.tables import License
from contracts.terms import Purpose
from market.identity.queries import party
from market.identity.rules import Actor, Permission
from market.policy.engine import Hit
from market.policy.inputs import Inputs
from market.policy.packs import Duty
from market.policy.queries import in_force
from market.trading.problems import NotOnOffer
from market.trading.purposes import facts_of_order
from market.trading.queries import of_license
from metering import actions as metering
from metering.anomalies import Finding, Strayed, note_anomaly
from metering.words import AnomalyKind
from storage.kernel import clock
from storage.kernel.problem import NotFound, invalid
from storage.unit import Unit, View


def stop_strayed(unit: Unit, found: Strayed) -> Sequence[Hit]:
    """超范围处置. Raise the rule for people; what our own gate counted also stops the license, if the rule says so.

    What a provider reports about its buyer is looked at by people first. Nothing when an operator switched the rule off.
    """
    metering.hold_gate(unit, found.license_id)  # before the license, as whatever ends one
    row = unit.session.get(
        License, found.license_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if row is None:
        raise NotFound(license=found.license_id)
    hits = _raised(
        unit, row, found.hour, {"calls": found.calls, "rows": found.rows}, purposes=list(found.purposes)
    )
    rules = {rule.key: rule for rule in in_force(unit).pack.rules}
    wanted = any(Duty.SUSPEND in rules[hit.rule].then.duties for hit in hits if hit.rule in rules)
    if wanted and found.counted and "suspend" in LICENSE.verbs(row.state):
        metering.shut_gate(unit, row.id, reason="suspended")
        contracts.suspend_license(unit, row.id, reason=f"{hits[0].rule} {hits[0].words.zh}")
    return hits


def report_misuse(unit: Unit, actor: Actor, license_id: str, *, reason: str) -> Sequence[Hit]:
    """举报超范围使用. The provider, or a compliance officer, saw the data used for another purpose; people look at it.

    Raises NotFound for a license that is not the actor's to watch, WrongState for one that has ended, Invalid.
    """
    row = unit.session.get(License, license_id, with_for_update={"key_share": True}, populate_existing=True)
    watching = row is not None and (
        actor.may(Permission.LICENSE_SUSPEND)
        or (actor.may(Permission.OFFER_ACCEPT) and row.seller_id == actor.org)
    )
    if row is None or not watching or actor.belongs_to(row.buyer_id):
        raise NotFound(license=license_id)
    LICENSE.after(row.state, "revoke")  # an ended license has nothing left to watch
    if not 10 <= len(reason.strip()) <= 500:
        words = (
            "请用 10 至 500 字说明事实与来源。",
            "Describe what was seen and where, in 10 to 500 characters.",
        )
        raise invalid("misuse", "reason.length", *words)
    return _raised(unit, row, clock.now(), {}, reason=reason.strip())


def _raised(unit: Unit, row: License, since: datetime, figures: dict[str, int], **more: object) -> list[Hit]:
    rules = in_force(unit)
    hits = [hit for hit in rules.watch(_facts(unit, row)) if not hit.presumed]
    finding = Finding(AnomalyKind.OFF_PURPOSE, f"license:{row.id}", since, figures)
    if not hits or note_anomaly(unit, finding) is None:
        return []
    unit.record(
        "license.off_purpose",
        f"license:{row.id}",
        rules=[hit.rule for hit in hits],
        rules_version=rules.pack.version,
        sources=[source.en for hit in hits for source in hit.sources],
        since=since.isoformat(),
        **more,
    )
    return hits


def _facts(view: View, row: License) -> Inputs:
    """What is known of the order the license came from, used for another purpose than granted."""
    order = of_license(view, row.id)
    if order is None:
        return Inputs(off_purpose=True)
    try:
        given = facts_of_order(view, order, party(view, order.buyer_id).org_kind)
    except NotOnOffer:  # off the shelf since; the license lives on
        given = Inputs(purpose=Purpose(order.purpose))
    return replace(given, off_purpose=True)
