"""变更、更正、续展、转移、注销 What is asked for after the first registration, and the registrar's answer."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.exc import IntegrityError

from market.identity.problems import PartyUnverified
from market.identity.queries import party
from market.identity.rules import Actor, Permission, Verification
from market.registry.desk import (
    decide,
    examined_amendment,
    locked_amendment,
    own_asset,
    reasoned,
)
from market.registry.life import (
    AMENDMENT,
    STEP_OF,
    VERB_OF,
    AmendmentKind,
    AmendmentState,
    CancelGround,
    amendment_faults,
    diff_of,
    is_material,
    renewal_opens,
)
from market.registry.notices import close_notice, open_notice, refuse_running
from market.registry.problems import AmendmentOpen, NoticeNeeded, RecipientUnverified, RenewalClosed
from market.registry.register import claim_contents, enter, free_contents, open_amendment
from market.registry.rules import ASSET, AssetState, Description, completeness_faults, valid_until
from market.registry.settings import RegistrySettings
from market.registry.tables import Amendment, Asset, Notice
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Invalid, NotFound, invalid
from storage.objects import Stored, keep
from storage.unit import Unit

_PLAIN = (AmendmentKind.CHANGE, AmendmentKind.CORRECTION)


def ask_amendment(
    unit: Unit,
    actor: Actor,
    asset_id: str,
    *,
    kind: AmendmentKind,
    cause: str,
    office: RegistrySettings,
    changes: Description | None = None,
    ground: CancelGround | None = None,
    to_party: str | None = None,
) -> Amendment:
    """申请变更、更正、续展、转移或注销. One application at a time; a transfer first asks its recipient.

    changes: only the fields that are set change. Raises Forbidden, NotFound, WrongState, AmendmentOpen,
    RenewalClosed, RecipientUnverified, Invalid with every fault.
    """
    asset = own_asset(unit, actor, asset_id)
    ASSET.after(asset.state, VERB_OF[kind])
    if (waiting := open_amendment(unit, asset.id)) is not None:
        raise AmendmentOpen(asset=asset.id, amendment=waiting.id)
    asked = Amendment(
        id=new_id("amd"),
        asset_id=asset.id,
        kind=kind,
        state=AmendmentState.OFFERED if kind is AmendmentKind.TRANSFER else AmendmentState.SUBMITTED,
        registrant_id=asset.registrant_id,
        asked_by=actor.id,
        asked_at=clock.now(),
        cause=reasoned(cause),
        changes=[],
        evidence=[],
        missing=[],
    )
    if kind in _PLAIN:
        _take_changes(asset, asked, changes)
    elif kind is AmendmentKind.RENEWAL:
        _refuse_outside_window(asset, office)
    elif kind is AmendmentKind.TRANSFER:
        asked.to_party = _recipient(unit, asset, to_party)
    else:
        if ground is None:
            raise invalid("ground", "required", "请选择注销事由。", "Choose a ground of cancellation.")
        asked.ground = ground
    unit.session.add(asked)
    try:
        unit.session.flush()
    except IntegrityError as error:  # asked twice at once: the index let one through
        raise AmendmentOpen(asset=asset_id) from error
    unit.record(
        "amendment.asked",
        f"asset:{asset.id}",
        amendment=asked.id,
        amendment_kind=str(kind),
        fields=[line["field"] for line in asked.changes],
        material=asked.material,
        to=asked.to_party,
    )
    return asked


def attach_proof(unit: Unit, actor: Actor, amendment_id: str, *, stored: Stored, name: str) -> Amendment:
    """附加证明. A document for an application that is not reviewed yet. Raises Forbidden, NotFound, WrongState, Invalid."""
    asked, asset = _asked(unit, actor, amendment_id)
    AMENDMENT.after(asked.state, "resubmit" if asked.state is AmendmentState.RETURNED else "return")
    if len(asked.evidence) >= 10:
        raise invalid("evidence", "count", "最多 10 份。", "At most 10.")
    if all(paper["sha256"] != stored.sha256 for paper in asked.evidence):
        asked.evidence = [*asked.evidence, {"name": name, "sha256": stored.sha256, "size": stored.size}]
    keep(unit, stored)
    unit.session.add(asked)
    unit.record("amendment.proved", f"asset:{asset.id}", amendment=asked.id, sha256=stored.sha256)
    return asked


def resubmit_amendment(
    unit: Unit, actor: Actor, amendment_id: str, *, cause: str, changes: Description | None = None
) -> Amendment:
    """补正后再提交. Raises Forbidden, NotFound, WrongState, Invalid."""
    asked, asset = _asked(unit, actor, amendment_id)
    after, why = AMENDMENT.after(asked.state, "resubmit"), reasoned(cause)
    if asked.kind in _PLAIN and changes is not None:
        _take_changes(asset, asked, changes)
    asked.state, asked.cause, asked.missing, asked.reason = after, why, [], ""
    unit.session.add(asked)
    unit.record("amendment.resubmitted", f"asset:{asset.id}", amendment=asked.id)
    return asked


def answer_transfer(unit: Unit, actor: Actor, amendment_id: str, *, agree: bool) -> Amendment:
    """受让确认. A verified recipient agrees or declines; nothing passes to who did not ask for it.

    Raises Forbidden, NotFound, PartyUnverified, WrongState.
    """
    actor.require(Permission.ASSET_DRAFT)
    asked, asset = locked_amendment(unit, amendment_id)
    if asked.to_party != actor.own_org:
        raise NotFound(amendment=amendment_id)
    if agree and not actor.party_verified:
        raise PartyUnverified(party=actor.own_org)
    asked.state = AMENDMENT.after(asked.state, "agree" if agree else "decline")
    asked.agreed_by, asked.agreed_at = actor.id, clock.now()
    unit.session.add(asked)
    unit.record(
        "amendment.agreed" if agree else "amendment.declined", f"asset:{asset.id}", amendment=asked.id
    )
    return asked


def withdraw_amendment(unit: Unit, actor: Actor, amendment_id: str) -> Amendment:
    """撤回申请. Raises Forbidden, NotFound, WrongState."""
    asked, asset = _asked(unit, actor, amendment_id)
    asked.state = AMENDMENT.after(asked.state, "withdraw")
    unit.session.add(asked)
    close_notice(unit, asset, asked, outcome="withdrawn")
    unit.record("amendment.withdrawn", f"asset:{asset.id}", amendment=asked.id)
    return asked


def review_amendment(unit: Unit, actor: Actor, amendment_id: str) -> Amendment:
    """受理审核. Raises Forbidden, NotFound, OwnDecision, WrongState."""
    asked, asset = examined_amendment(unit, actor, amendment_id)
    asked.state = AMENDMENT.after(asked.state, "review")
    asked.reviewed_by = actor.id
    unit.session.add(asked)
    unit.record("amendment.review_begun", f"asset:{asset.id}", amendment=asked.id)
    return asked


def return_amendment(
    unit: Unit, actor: Actor, amendment_id: str, *, missing: Sequence[tuple[str, str]], reason: str
) -> Amendment:
    """退回补正. Raises Forbidden, NotFound, OwnDecision, WrongState, Invalid for an empty list or reason."""
    asked, asset = examined_amendment(unit, actor, amendment_id)
    after, why = AMENDMENT.after(asked.state, "return"), reasoned(reason)
    wanted = [{"field": field[:64], "note": note.strip()[:500]} for field, note in missing if note.strip()]
    if not wanted:
        raise invalid("missing", "required", "请列出需要补正的内容。", "List what has to be corrected.")
    asked.state, asked.missing = after, wanted
    decide(asked, actor, why)
    unit.session.add(asked)
    unit.record("amendment.returned", f"asset:{asset.id}", amendment=asked.id, reason=why)
    return asked


def reject_amendment(unit: Unit, actor: Actor, amendment_id: str, *, reason: str) -> Amendment:
    """不予办理. The registration stays as it is. Raises Forbidden, NotFound, OwnDecision, WrongState, Invalid."""
    asked, asset = examined_amendment(unit, actor, amendment_id)
    after, why = AMENDMENT.after(asked.state, "reject"), reasoned(reason)
    asked.state = after
    decide(asked, actor, why)
    unit.session.add(asked)
    unit.record("amendment.rejected", f"asset:{asset.id}", amendment=asked.id, reason=why)
    return asked


def publish_amendment(
    unit: Unit, actor: Actor, amendment_id: str, *, reason: str, office: RegistrySettings
) -> Notice:
    """重大变更公示. Raises Forbidden, NotFound, OwnDecision, WrongState, Invalid."""
    asked, asset = examined_amendment(unit, actor, amendment_id)
    after, why = AMENDMENT.after(asked.state, "publish"), reasoned(reason)
    asked.state = after
    decide(asked, actor, why)
    unit.session.add(asked)
    notice = open_notice(unit, actor, asset, office, amendment=asked)
    unit.record(
        "amendment.published", f"asset:{asset.id}", amendment=asked.id, notice=notice.number, reason=why
    )
    return notice


def apply_amendment(
    unit: Unit, actor: Actor, amendment_id: str, *, reason: str, office: RegistrySettings
) -> tuple[Amendment, Asset]:
    """办结. The registration is what was asked for from now on; whoever depends on it is told by the caller.

    Raises Forbidden, NotFound, OwnDecision, WrongState, NoticeNeeded, NoticeRunning, RecipientUnverified,
    ContentRegistered, Invalid.
    """
    asked, asset = examined_amendment(unit, actor, amendment_id)
    after, why = AMENDMENT.after(asked.state, "apply"), reasoned(reason)
    asset.state = ASSET.after(asset.state, VERB_OF[asked.kind])
    if asked.state is AmendmentState.UNDER_REVIEW and asked.material and office.notice_days:
        raise NoticeNeeded(
            amendment=asked.id, days=office.notice_days, allowed=["publish", "reject", "withdraw"]
        )
    refuse_running(unit, asset, asked)
    _carry_out(unit, asset, asked)
    asked.state = after
    decide(asked, actor, why)
    unit.session.add_all([asked, asset])
    close_notice(unit, asset, asked, outcome="applied")
    enter(unit, asset, STEP_OF[asked.kind], reason=why, by_org=actor.org, amendment=asked)
    unit.record(
        f"asset.{STEP_OF[asked.kind]}",
        f"asset:{asset.id}",
        amendment=asked.id,
        fields=[line["field"] for line in asked.changes],
        valid_until=asset.valid_until.isoformat() if asset.valid_until else None,
        registrant=asset.registrant_id,
        reason=why,
    )
    return asked, asset


def _carry_out(unit: Unit, asset: Asset, asked: Amendment) -> None:
    match asked.kind:
        case AmendmentKind.CHANGE | AmendmentKind.CORRECTION:
            wanted = _described(asset, {line["field"]: line["after"] for line in asked.changes})
            for name, value in wanted.columns().items():
                setattr(asset, name, value)
        case AmendmentKind.RENEWAL:
            assert asset.valid_until is not None
            asset.valid_until = valid_until(asset.valid_until)
            asset.renewals += 1
            if asset.ended_at is not None:  # asked for in time and decided late: it is in force again
                asset.ended_at = None
                claim_contents(unit, asset)
        case AmendmentKind.TRANSFER:
            asset.registrant_id = _recipient(unit, asset, asked.to_party)
        case AmendmentKind.CANCELLATION:
            asset.ended_at = clock.now()
            free_contents(unit, asset)


def _take_changes(asset: Asset, asked: Amendment, changes: Description | None) -> None:
    set_fields = changes.model_dump(mode="json", exclude_unset=True) if changes else {}
    diff = diff_of(Description.model_validate(asset), set_fields)
    if faults := amendment_faults(asked.kind, diff):
        raise Invalid(*faults)
    wanted = _described(asset, {line["field"]: line["after"] for line in diff})
    if faults := completeness_faults(wanted, files=1, evidence=1):  # the papers of the registration stay
        raise Invalid(*faults)
    asked.changes, asked.material = diff, is_material(diff)


def _described(asset: Asset, changes: dict[str, Any]) -> Description:
    """The asset's description with some fields as JSON values put in."""
    now = Description.model_validate(asset).model_dump(mode="json")
    return Description.model_validate(now | changes)


def _refuse_outside_window(asset: Asset, office: RegistrySettings) -> None:
    assert asset.valid_until is not None
    opens = renewal_opens(asset.valid_until, office.renewal_days)
    if asset.state is AssetState.EXPIRED or not opens <= clock.now() < asset.valid_until:
        raise RenewalClosed(
            asset=asset.id, opens_at=opens.isoformat(), closes_at=asset.valid_until.isoformat()
        )


def _recipient(unit: Unit, asset: Asset, to_party: str | None) -> str:
    """The organization a registration may pass to. Raises Invalid, NotFound, RecipientUnverified."""
    if not to_party or to_party == asset.registrant_id:
        raise invalid(
            "to_party", "transfer.other", "请填写另一已核验机构。", "Name another verified organization."
        )
    if party(unit, to_party).verification is not Verification.VERIFIED:
        raise RecipientUnverified(party=to_party)
    return to_party


def _asked(unit: Unit, actor: Actor, amendment_id: str) -> tuple[Amendment, Asset]:
    """The actor's organization's own application, locked. Raises Forbidden, NotFound."""
    actor.require(Permission.ASSET_DRAFT)
    asked, asset = locked_amendment(unit, amendment_id)
    if asked.registrant_id != actor.own_org:
        raise NotFound(amendment=amendment_id)
    return asked, asset
