"""After the first registration: changes with their diff, corrections, renewal, transfer, cancellation, revocation."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.terms import RightKind
from market.identity.problems import Forbidden, OwnDecision, PartyUnverified
from market.identity.rules import Actor, Verification
from market.identity.tables import Party
from market.policy.inputs import DataGrade
from market.registry import actions, amending, ending, queries
from market.registry.life import AmendmentKind, AmendmentState, CancelGround, Standing
from market.registry.problems import (
    AmendmentOpen,
    NoticeNeeded,
    NoticeRunning,
    RecipientUnverified,
    RenewalClosed,
)
from market.registry.rules import AssetState, Description, Right
from market.registry.settings import RegistrySettings
from market.registry.tables import Amendment, Asset
from market.registry.verification import verified
from storage.kernel import clock
from storage.kernel.problem import Invalid, NotFound, WrongState
from storage.unit import Store
from tests.market.assets import QUICK, registered, stored, submitted
from tests.market.people import BUYER, OTHER_PROVIDER, PROVIDER, REGISTRAR
from tests.market.products import seated

OFFICE = RegistrySettings(notice_days=10)
REASON = "经核查，准予办理"
CAUSE = "业务系统升级，口径调整"


def ask(store: Store, asset: Asset, kind: AmendmentKind, actor: Actor = PROVIDER, **more: Any) -> Amendment:
    with store.unit(actor.id, actor.org) as unit:
        return amending.ask_amendment(
            unit, actor, asset.id, kind=kind, cause=CAUSE, office=more.pop("office", OFFICE), **more
        )


def apply(store: Store, asked: Amendment, office: RegistrySettings = OFFICE) -> Asset:
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        amending.review_amendment(unit, REGISTRAR, asked.id)
        return amending.apply_amendment(unit, REGISTRAR, asked.id, reason=REASON, office=office)[1]


def now_of(store: Store, asset: Asset) -> Asset:
    with store.view() as view:
        return view.session.get_one(Asset, asset.id)


def test_a_small_change_needs_the_registrar_only_and_keeps_its_diff(store: Store) -> None:
    asset = registered(store)
    asked = ask(store, asset, AmendmentKind.CHANGE, changes=Description(title_en="Parking visits"))
    assert asked.changes == [{"field": "title_en", "before": "Car park visits", "after": "Parking visits"}]
    assert not asked.material
    assert now_of(store, asset).title_en == "Car park visits", "nothing changes before it is decided"
    changed = apply(store, asked)
    assert (changed.title_en, changed.state, changed.number) == (
        "Parking visits",
        AssetState.REGISTERED,
        asset.number,
    )
    with store.view() as view:
        steps = [str(step.kind) for step in queries.steps_of(view, asset.id)]
        certificates = queries.certificates(view, PROVIDER, asset.id)
        kept = view.session.get_one(Amendment, asked.id)
    assert steps == ["registered", "changed"]
    assert [row.serial for row in certificates] == [2, 1]
    assert certificates[0].content["predecessor"] == certificates[1].content_hash
    assert kept.changes == asked.changes


@pytest.mark.parametrize(
    "changes",
    [
        {"source_statement": "改为采购取得。"},
        {"area": "370203"},
        {"rights": (Right(kind=RightKind.USE, scope="加工使用"),)},
        {"grade": DataGrade.G2},
    ],
)
def test_a_material_change_repeats_the_notice(store: Store, changes: dict[str, Any]) -> None:
    asset = registered(store)
    asked = ask(store, asset, AmendmentKind.CHANGE, changes=Description(**changes))
    assert asked.material
    with pytest.raises(NoticeNeeded), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        amending.review_amendment(unit, REGISTRAR, asked.id)
        amending.apply_amendment(unit, REGISTRAR, asked.id, reason=REASON, office=OFFICE)
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        amending.review_amendment(unit, REGISTRAR, asked.id)
        notice = amending.publish_amendment(unit, REGISTRAR, asked.id, reason=REASON, office=OFFICE)
    assert now_of(store, asset).state is AssetState.REGISTERED, "it stays registered meanwhile"
    with pytest.raises(NoticeRunning), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        amending.apply_amendment(unit, REGISTRAR, asked.id, reason=REASON, office=OFFICE)
    with clock.held(notice.ends_at), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        amending.apply_amendment(unit, REGISTRAR, asked.id, reason=REASON, office=OFFICE)
    found = Description.model_validate(now_of(store, asset))
    assert all(getattr(found, name) == value for name, value in changes.items())


def test_a_grade_that_falls_is_no_material_change(store: Store) -> None:
    asset = registered(store, grade=DataGrade.G2)
    asked = ask(store, asset, AmendmentKind.CHANGE, changes=Description(grade=DataGrade.G1))
    assert not asked.material


def test_what_a_change_and_a_correction_may_not_ask_for(store: Store) -> None:
    asset = registered(store)
    for kind, changes, rule in (
        (AmendmentKind.CHANGE, Description(), "amendment.empty"),
        (AmendmentKind.CHANGE, Description(title_en="Car park visits"), "amendment.empty"),
        (AmendmentKind.CHANGE, Description(code="370200-jt-0002"), "amendment.fixed"),
        (AmendmentKind.CORRECTION, Description(area="370203"), "correction.material"),
        (AmendmentKind.CHANGE, Description(grade=DataGrade.CORE), "T01"),
        (AmendmentKind.CHANGE, Description(title_zh=""), "required"),
    ):
        with pytest.raises(Invalid) as refusal:
            ask(store, asset, kind, changes=changes)
        assert rule in {fault.rule for fault in refusal.value.faults}
    with pytest.raises(Invalid):
        ask(store, asset, AmendmentKind.CANCELLATION)
    waiting = submitted(store, content="waiting")
    with pytest.raises(WrongState):
        ask(store, waiting, AmendmentKind.CHANGE, changes=Description(title_en="x"))
    with pytest.raises(NotFound):
        ask(store, asset, AmendmentKind.CHANGE, OTHER_PROVIDER, changes=Description(title_en="x"))
    with pytest.raises(Forbidden):
        ask(store, asset, AmendmentKind.CHANGE, BUYER, changes=Description(title_en="x"))


def test_one_application_at_a_time_also_when_asked_twice_at_once(store: Store) -> None:
    asset = registered(store)
    outcomes: list[str] = []
    gate = threading.Barrier(2)

    def asking(title: str) -> None:
        gate.wait()
        try:
            ask(store, asset, AmendmentKind.CHANGE, changes=Description(title_en=title))
            outcomes.append("asked")
        except AmendmentOpen:
            outcomes.append("refused")

    threads = [threading.Thread(target=asking, args=(title,)) for title in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["asked", "refused"]


def test_returned_with_a_list_and_sent_again(store: Store) -> None:
    asset = registered(store)
    asked = ask(store, asset, AmendmentKind.CORRECTION, changes=Description(title_en="Visit"))
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        back = amending.return_amendment(
            unit, REGISTRAR, asked.id, missing=[("title_en", "拼写")], reason="请核对拼写"
        )
        assert back.missing == [{"field": "title_en", "note": "拼写"}]
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        amending.attach_proof(unit, PROVIDER, asked.id, stored=stored("proof"), name="说明.pdf")
        again = amending.resubmit_amendment(
            unit, PROVIDER, asked.id, cause="已更正拼写", changes=Description(title_en="Visits")
        )
    assert again.state is AmendmentState.SUBMITTED
    assert apply(store, asked).title_en == "Visits"


def test_renewal_opens_sixty_days_before_the_end_and_keeps_the_number(store: Store) -> None:
    asset = registered(store)
    assert asset.valid_until is not None
    opens = asset.valid_until - timedelta(days=60)
    for moment in (opens - timedelta(seconds=1), asset.valid_until):
        with clock.held(moment), pytest.raises(RenewalClosed) as refusal:
            ask(store, asset, AmendmentKind.RENEWAL)
        assert datetime.fromisoformat(refusal.value.members["opens_at"]) == opens
    with clock.held(opens):
        asked = ask(store, asset, AmendmentKind.RENEWAL)
        renewed = apply(store, asked)
    assert renewed.valid_until == asset.valid_until.replace(year=asset.valid_until.year + 3)
    assert (renewed.number, renewed.renewals) == (asset.number, 1)
    with store.view() as view:
        seen = verified(view, f"{asset.number}-R1", opens + timedelta(days=365))
        assert (seen.standing, seen.number) == (Standing.IN_FORCE, f"{asset.number}-R1")
        assert verified(view, str(asset.number), opens).number == f"{asset.number}-R1"
        with pytest.raises(NotFound):
            verified(view, f"{asset.number}-R2", opens)


def test_a_renewal_asked_for_in_time_and_decided_late_restores(store: Store) -> None:
    asset = registered(store)
    assert asset.valid_until is not None
    with clock.held(asset.valid_until - timedelta(days=1)):
        asked = ask(store, asset, AmendmentKind.RENEWAL)
    late = asset.valid_until + timedelta(days=3)
    with clock.held(late):
        with store.unit("system:clock") as unit:
            ending.expire_asset(unit, asset.id)
        renewed = apply(store, asked)
        assert (renewed.state, renewed.ended_at) == (AssetState.REGISTERED, None)
    with store.view() as view:
        gap = verified(view, str(asset.number), asset.valid_until + timedelta(days=1))
        after = verified(view, str(asset.number), late)
    assert (gap.standing, after.standing) == (Standing.EXPIRED, Standing.IN_FORCE)


def test_expiry_frees_the_contents_and_lapses_what_was_asked(store: Store) -> None:
    asset = registered(store)
    assert asset.valid_until is not None
    asked = ask(store, asset, AmendmentKind.CHANGE, changes=Description(title_en="x y"))
    with pytest.raises(Invalid), store.unit("system:clock") as unit:
        ending.expire_asset(unit, asset.id)
    with clock.held(asset.valid_until):
        with store.view() as view:
            assert ending.registrations_due(view, clock.now()) == [asset.id]
        with store.unit("system:clock") as unit:
            ending.expire_asset(unit, asset.id)
        assert registered(store, OTHER_PROVIDER).number != asset.number
        with pytest.raises(WrongState):
            ask(store, asset, AmendmentKind.CHANGE, changes=Description(title_en="z"))
    with store.view() as view:
        assert view.session.get_one(Amendment, asked.id).state is AmendmentState.LAPSED


def test_a_transfer_needs_a_verified_recipient_who_agrees(store: Store) -> None:
    asset = registered(store)
    seated(store, OTHER_PROVIDER)
    with store.unit("system:test") as unit:
        unit.session.get_one(Party, OTHER_PROVIDER.own_org).verification = Verification.UNVERIFIED
        unit.record("party.reset", "party:x")
    with pytest.raises(RecipientUnverified):
        ask(store, asset, AmendmentKind.TRANSFER, to_party=OTHER_PROVIDER.org)
    with store.unit("system:test") as unit:
        unit.session.get_one(Party, OTHER_PROVIDER.own_org).verification = Verification.VERIFIED
        unit.record("party.verified", "party:x")
    for wrong in (None, PROVIDER.org):
        with pytest.raises(Invalid):
            ask(store, asset, AmendmentKind.TRANSFER, to_party=wrong)
    asked = ask(store, asset, AmendmentKind.TRANSFER, to_party=OTHER_PROVIDER.org)
    assert asked.state is AmendmentState.OFFERED
    with pytest.raises(WrongState), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        amending.review_amendment(unit, REGISTRAR, asked.id)
    with pytest.raises(NotFound), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        amending.answer_transfer(unit, PROVIDER, asked.id, agree=True)
    unproven = Actor("usr_x", OTHER_PROVIDER.org, OTHER_PROVIDER.roles, OTHER_PROVIDER.org_kind)
    with pytest.raises(PartyUnverified), store.unit(unproven.id, unproven.org) as unit:
        amending.answer_transfer(unit, unproven, asked.id, agree=True)
    with store.view() as view:
        assert [row.id for row, _asset in queries.offered_to(view, OTHER_PROVIDER)] == [asked.id]
    with store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        amending.answer_transfer(unit, OTHER_PROVIDER, asked.id, agree=True)
    moved = apply(store, asked)
    assert (moved.registrant_id, moved.number) == (OTHER_PROVIDER.org, asset.number)
    with pytest.raises(NotFound):
        ask(store, asset, AmendmentKind.CHANGE, changes=Description(title_en="mine?"))
    with store.view() as view:
        holder = queries.certificates(view, OTHER_PROVIDER, asset.id)[0].content["registrant"]["id"]
    assert holder == OTHER_PROVIDER.org


def test_a_declined_transfer_leaves_everything(store: Store) -> None:
    asset = registered(store)
    seated(store, OTHER_PROVIDER)
    with store.unit("system:test") as unit:
        unit.session.get_one(Party, OTHER_PROVIDER.own_org).verification = Verification.VERIFIED
        unit.record("party.verified", "party:x")
    asked = ask(store, asset, AmendmentKind.TRANSFER, to_party=OTHER_PROVIDER.org)
    with store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        amending.answer_transfer(unit, OTHER_PROVIDER, asked.id, agree=False)
    assert now_of(store, asset).registrant_id == PROVIDER.org
    ask(store, asset, AmendmentKind.CHANGE, changes=Description(title_en="free again"))


def test_cancellation_and_revocation_end_it_for_ever(store: Store) -> None:
    cancelled = registered(store)
    asked = ask(store, cancelled, AmendmentKind.CANCELLATION, ground=CancelGround.LOST)
    apply(store, asked)
    revoked = registered(store)  # the same content: it was freed
    assert revoked.number != cancelled.number
    with pytest.raises(Invalid), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        ending.revoke_asset(unit, REGISTRAR, revoked.id, reason="x")
    with pytest.raises(Forbidden), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        ending.revoke_asset(unit, PROVIDER, revoked.id, reason=REASON)
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        ending.revoke_asset(unit, REGISTRAR, revoked.id, reason="提供虚假来源证明")
    with store.view() as view:
        for asset, standing in ((cancelled, Standing.CANCELLED), (revoked, Standing.REVOKED)):
            seen = verified(view, str(asset.number), clock.now())
            assert seen.standing is standing
            assert seen.certificate is not None
        assert queries.asset(view, None, revoked.id).state is AssetState.REVOKED
    for asset in (cancelled, revoked):
        with pytest.raises(WrongState) as refusal, store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
            ending.revoke_asset(unit, REGISTRAR, asset.id, reason=REASON)
        assert refusal.value.members["allowed"] == []


def test_the_registrar_decides_nothing_of_its_own_and_two_apply_once(store: Store) -> None:
    asset = registered(store)
    asked = ask(store, asset, AmendmentKind.CHANGE, changes=Description(title_en="Once"))
    own = Actor(REGISTRAR.id, REGISTRAR.org, REGISTRAR.roles, orgs=frozenset({PROVIDER.own_org}))
    with pytest.raises(OwnDecision), store.unit(own.id, own.org) as unit:
        amending.review_amendment(unit, own, asked.id)
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        amending.review_amendment(unit, REGISTRAR, asked.id)
    outcomes: list[str] = []
    gate = threading.Barrier(2)

    def applying() -> None:
        gate.wait()
        try:
            with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
                amending.apply_amendment(unit, REGISTRAR, asked.id, reason=REASON, office=QUICK)
            outcomes.append("applied")
        except WrongState:
            outcomes.append("refused")

    threads = [threading.Thread(target=applying) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["applied", "refused"]


def test_standing_is_read_at_any_moment(store: Store) -> None:
    began = datetime(2026, 3, 2, 2, tzinfo=UTC)
    with clock.held(began):
        asset = registered(store)
    with clock.held(began + timedelta(days=100)), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        ending.revoke_asset(unit, REGISTRAR, asset.id, reason=REASON)
    with store.view() as view:
        for days, standing in (
            (-1, "not_yet"),
            (0, "in_force"),
            (99, "in_force"),
            (100, "revoked"),
            (2000, "revoked"),
        ):
            seen = verified(view, str(asset.number), began + timedelta(days=days))
            assert (days, seen.standing.value) == (days, standing)


def test_refresh_and_national_code_are_for_what_is_registered(store: Store) -> None:
    asset, waiting = registered(store), submitted(store, content="w")
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        assert (
            actions.note_national_code(unit, REGISTRAR, asset.id, code="GJ-3702-1").national_code
            == "GJ-3702-1"
        )
        with pytest.raises(WrongState):
            actions.note_national_code(unit, REGISTRAR, waiting.id, code="GJ-1")
        with pytest.raises(Invalid):
            actions.note_national_code(unit, REGISTRAR, asset.id, code="<script>")
    with pytest.raises(WrongState), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.note_refresh(unit, PROVIDER, waiting.id)
