"""A public notice: the registrar waits for its end, anybody may object in time, both sides are heard."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from market.identity.problems import OwnDecision
from market.identity.rules import Actor, OrgKind, Role
from market.registry import actions, notices, queries
from market.registry.life import ObjectionState
from market.registry.problems import (
    ContentRegistered,
    NotHeard,
    NoticeNeeded,
    NoticeOver,
    NoticeRunning,
    ObjectedAlready,
)
from market.registry.rules import AssetState
from market.registry.settings import RegistrySettings
from market.registry.tables import Asset, Notice, Objection
from storage.kernel import clock
from storage.kernel.problem import Invalid, NotFound, WrongState
from storage.unit import Store
from tests.market.assets import QUICK, registered, reviewed, stored, submitted
from tests.market.people import BUYER, COMPLIANCE, OTHER_PROVIDER, PROVIDER, REGISTRAR

OFFICE = RegistrySettings(notice_days=10, answer_days=5)
OPENED = datetime(2026, 9, 28, 2, tzinfo=UTC)  # a Monday, three days before the National Day week
LONG = "该数据由我单位采集，登记主体并无授权，详见所附协议。"
REASON = "经核查，依法处理"
SECOND = Actor("usr_registrar2", "pty_registrar", frozenset({Role.REGISTRAR}), OrgKind.REGISTRAR)


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    with clock.held(OPENED):
        yield


def on_notice(
    store: Store, content: str = "a,b\n1,2\n", office: RegistrySettings = OFFICE
) -> tuple[Asset, Notice]:
    asset = submitted(store, content=content)
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        reviewed(unit, asset.id)
        return asset, actions.publish_asset(unit, REGISTRAR, asset.id, reason=REASON, office=office)


def objected(store: Store, notice: Notice, actor: Actor = BUYER) -> Objection:
    with store.unit(actor.id, actor.org) as unit:
        return notices.raise_objection(
            unit,
            actor,
            notice.number,
            statement=LONG,
            evidence=[("协议.pdf", stored("deal"))],
            office=OFFICE,
        )


def register(store: Store, asset_id: str, actor: Actor = REGISTRAR) -> Asset:
    with store.unit(actor.id, actor.org) as unit:
        return actions.register_asset(unit, actor, asset_id, reason=REASON, office=OFFICE)


def test_registration_waits_for_the_last_moment_of_the_last_day(store: Store) -> None:
    asset, notice = on_notice(store)
    # 29, 30 September; 8, 9, Saturday 10, 12 to 16 October.
    assert notice.ends_at == datetime(2026, 10, 16, 16, tzinfo=UTC)
    assert notice.settled
    with clock.held(notice.ends_at - timedelta(microseconds=1)):
        with pytest.raises(NoticeRunning) as refusal:
            register(store, asset.id)
        assert refusal.value.members["ends_at"] == notice.ends_at.isoformat()
    with clock.held(notice.ends_at):
        assert register(store, asset.id).state is AssetState.REGISTERED
    with store.view() as view:
        assert queries.notice(view, notice.number)[0].outcome == "registered"
        content = queries.latest_certificate(view, asset.id)
        assert content is not None
        assert content.content["notice"]["days"] == 10


def test_with_days_of_notice_nobody_registers_around_it(store: Store) -> None:
    asset = submitted(store)
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        reviewed(unit, asset.id)
    with pytest.raises(NoticeNeeded):
        register(store, asset.id)


def test_a_notice_over_the_turn_of_the_year_says_what_it_does_not_know(store: Store) -> None:
    with clock.held(datetime(2026, 12, 28, 2, tzinfo=UTC)):
        _asset, notice = on_notice(store)
    assert not notice.settled
    assert notice.ends_at > datetime(2027, 1, 11, tzinfo=UTC)


def test_an_objection_stops_the_clock_and_dismissal_gives_the_rest_back(store: Store) -> None:
    asset, notice = on_notice(store)
    with clock.held(datetime(2026, 10, 9, 6, tzinfo=UTC)):  # 29, 30 and the 8th are over
        objection = objected(store, notice)
    with store.view() as view:
        held = queries.notice(view, notice.number)[0]
        assert (held.remaining, view.session.get_one(Asset, asset.id).state) == (7, AssetState.OBJECTED)
    for verb in (
        lambda: register(store, asset.id),
        lambda: objected(store, notice),
    ):
        with clock.held(datetime(2026, 10, 30, tzinfo=UTC)), pytest.raises((WrongState, ObjectedAlready)):
            verb()
    with clock.held(datetime(2026, 10, 10, tzinfo=UTC)):
        with pytest.raises(NotHeard), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
            notices.dismiss_objection(unit, REGISTRAR, objection.id, reason=REASON, office=OFFICE)
        with store.unit(PROVIDER.id, PROVIDER.org) as unit:
            notices.answer_objection(unit, PROVIDER, objection.id, answer=LONG)
        with pytest.raises(WrongState), store.unit(PROVIDER.id, PROVIDER.org) as unit:
            notices.answer_objection(unit, PROVIDER, objection.id, answer=LONG)
    decided = datetime(2026, 11, 2, 2, tzinfo=UTC)
    with clock.held(decided), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        done = notices.dismiss_objection(unit, REGISTRAR, objection.id, reason=REASON, office=OFFICE)
        assert done.state is ObjectionState.DISMISSED
    with store.view() as view:
        held = queries.notice(view, notice.number)[0]
        assert held.ends_at == datetime(2026, 11, 11, 16, tzinfo=UTC)  # seven working days after the decision
        assert (held.paused_at, held.remaining) == (None, None)
    with clock.held(held.ends_at):
        assert register(store, asset.id).number


def test_silence_of_the_registrant_does_not_stop_the_decision(store: Store) -> None:
    asset, notice = on_notice(store)
    objection = objected(store, notice)
    with clock.held(objection.answer_until), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        notices.sustain_objection(unit, REGISTRAR, objection.id, reason=REASON)
    with store.view() as view:
        found = view.session.get_one(Asset, asset.id)
        assert (found.state, found.reason) == (AssetState.REJECTED, REASON)
        assert queries.notice(view, notice.number)[0].outcome == "sustained"


def test_every_objection_is_decided_before_the_clock_runs_on(store: Store) -> None:
    asset, notice = on_notice(store)
    first, second = objected(store, notice), objected(store, notice, OTHER_PROVIDER)
    late = first.answer_until + timedelta(hours=1)
    with clock.held(late):
        with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
            notices.dismiss_objection(unit, REGISTRAR, first.id, reason=REASON, office=OFFICE)
        with store.view() as view:
            assert view.session.get_one(Asset, asset.id).state is AssetState.OBJECTED
        with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
            notices.sustain_objection(unit, REGISTRAR, second.id, reason=REASON)
    third = registered(store, content="third")
    assert third.number


def test_after_the_window_nobody_objects(store: Store) -> None:
    asset, notice = on_notice(store)
    with clock.held(notice.ends_at), pytest.raises(NoticeOver) as refusal:
        objected(store, notice)
    assert refusal.value.status == 409
    assert refusal.value.members["ended_at"] == notice.ends_at.isoformat()
    with clock.held(notice.ends_at):
        register(store, asset.id)
        with pytest.raises(NoticeOver):
            objected(store, notice)


def test_who_may_not_object_and_what_an_objection_needs(store: Store) -> None:
    _asset, notice = on_notice(store)
    for own in (PROVIDER, REGISTRAR):
        with pytest.raises(OwnDecision):
            objected(store, notice, own)
    for statement, evidence in (("短", [("a.pdf", stored("x"))]), (LONG, [])):
        with pytest.raises(Invalid), store.unit(BUYER.id, BUYER.org) as unit:
            notices.raise_objection(
                unit, BUYER, notice.number, statement=statement, evidence=evidence, office=OFFICE
            )
    with pytest.raises(NotFound), store.unit(BUYER.id, BUYER.org) as unit:
        notices.raise_objection(
            unit, BUYER, "GS-2026-999999-X", statement=LONG, evidence=[("a", stored("x"))], office=OFFICE
        )


def test_objections_are_seen_by_their_author_and_those_concerned_only(store: Store) -> None:
    asset, notice = on_notice(store)
    objection = objected(store, notice)
    with store.view() as view:
        for reader in (BUYER, PROVIDER, REGISTRAR):
            assert queries.objection(view, reader, objection.id).statement == LONG
        with pytest.raises(NotFound):
            queries.objection(view, COMPLIANCE, objection.id)
        assert queries.objections(view, COMPLIANCE, asset.id) == []
    with pytest.raises(NotFound), store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        notices.answer_objection(unit, OTHER_PROVIDER, objection.id, answer=LONG)


def test_withdrawal_ends_the_notice_and_its_objections(store: Store) -> None:
    asset, notice = on_notice(store)
    objection = objected(store, notice)
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.withdraw_asset(unit, PROVIDER, asset.id)
    with store.view() as view:
        assert view.session.get_one(Objection, objection.id).state is ObjectionState.MOOT
        assert queries.notices(view) == []
    with pytest.raises((WrongState, NotHeard)), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        notices.sustain_objection(unit, REGISTRAR, objection.id, reason=REASON)


def at_once(*acts: object) -> list[str]:
    """Run at the same moment; each tells what it got."""
    outcomes: list[str] = []
    gate = threading.Barrier(len(acts))
    now = clock.now()

    def run(act: object) -> None:
        assert callable(act)
        gate.wait()
        with clock.held(now):
            try:
                act()
                outcomes.append("done")
            except (WrongState, NotFound, NoticeOver, ContentRegistered, NoticeRunning) as problem:
                outcomes.append(problem.slug())

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_two_registrars_at_once_register_once(store: Store) -> None:
    asset, notice = on_notice(store)
    with clock.held(notice.ends_at):
        outcomes = at_once(
            lambda: register(store, asset.id, REGISTRAR), lambda: register(store, asset.id, SECOND)
        )
        assert outcomes == ["done", "wrong-state"]
    with store.view() as view:
        assert len(queries.steps_of(view, asset.id)) == 1


def test_registering_and_objecting_at_once_never_both(store: Store) -> None:
    """The clock of the second caller stands just before the end: who comes first wins, whole."""
    asset, notice = on_notice(store)

    def object_in_time() -> None:
        with clock.held(notice.ends_at - timedelta(seconds=1)):
            objected(store, notice)

    with clock.held(notice.ends_at):
        outcomes = at_once(lambda: register(store, asset.id), object_in_time)
    with store.view() as view:
        state = view.session.get_one(Asset, asset.id).state
    assert outcomes.count("done") == 1
    assert state is (AssetState.REGISTERED if "notice-over" in outcomes else AssetState.OBJECTED)


def test_an_office_without_days_says_so_and_registers_after_the_review(store: Store) -> None:
    asset = registered(store)
    with store.view() as view:
        assert queries.notice_of(view, asset.id) is None
    assert QUICK.notice_days == 0
