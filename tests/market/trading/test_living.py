"""Rule T24 is raised for people, and stops what our own gate counted; a provider's word stops nothing by itself."""

from datetime import timedelta

import pytest
from sqlmodel import select

from contracts.rules import LicenseState
from contracts.tables import License
from market import chores
from market.house import House
from market.identity.rules import Actor
from market.policy import actions as policy
from market.trading import living
from metering.tables import Gate, UsageAnomaly, UsageHour
from metering.words import AnomalyKind, Kind
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.problem import Invalid, NotFound
from tests.market.people import BUYER, COMPLIANCE, OTHER_PROVIDER, PROVIDER
from tests.market.web.trade import Market

SEEN = "对方官网将本数据用于广告投放，截图见附件"


@pytest.fixture
def market(house: House) -> Market:
    return Market(house)


@pytest.fixture
def license_id(market: Market) -> str:
    order = market.paid()
    assert order.license_id is not None
    return order.license_id


def used(market: Market, license_id: str, purpose: str, kind: Kind = Kind.ROWS) -> None:
    with market.house.store.unit("system:test") as unit:
        gate = unit.session.get_one(Gate, license_id)
        unit.session.add(
            UsageHour(
                license_id=license_id,
                hour=clock.hour_of(clock.now()) - timedelta(hours=1),
                credential_id="cli_1",
                purpose=purpose,
                kind=kind,
                period="2026-11",
                product_id=gate.product_id,
                events=3,
                calls=3,
                rows=30,
                bytes=0,
                amount_fen=0,
            )
        )
        unit.record("usage.sealed", f"license:{license_id}")


def told(market: Market, license_id: str) -> list[Entry]:
    with market.house.store.view() as view:
        query = select(Entry).where(
            Entry.kind == "license.off_purpose", Entry.subject == f"license:{license_id}"
        )
        return list(view.session.exec(query))


def state(market: Market, license_id: str) -> tuple[LicenseState, int]:
    with market.house.store.view() as view:
        noted = view.session.exec(
            select(UsageAnomaly).where(UsageAnomaly.kind == AnomalyKind.OFF_PURPOSE)
        ).all()
        return view.session.get_one(License, license_id).state, len(noted)


def test_use_for_a_granted_purpose_raises_nothing(market: Market, license_id: str) -> None:
    used(market, license_id, "internal_business")
    chores.note_anomalies(market.house)
    assert state(market, license_id) == (LicenseState.ACTIVE, 0)


def test_the_sweep_raises_the_rule_once_and_stops_what_our_gate_counted(
    market: Market, license_id: str
) -> None:
    used(market, license_id, "resale")
    chores.note_anomalies(market.house)
    chores.note_anomalies(market.house)
    [entry] = told(market, license_id)
    assert (entry.data["rules"], entry.data["purposes"]) == (["T24"], ["resale"])
    assert entry.data["sources"]
    assert state(market, license_id) == (LicenseState.SUSPENDED, 1)


def test_what_a_provider_reports_is_for_people(market: Market, license_id: str) -> None:
    used(market, license_id, "resale", Kind.REPORTED)
    chores.note_anomalies(market.house)
    assert len(told(market, license_id)) == 1
    assert state(market, license_id) == (LicenseState.ACTIVE, 1)


def test_an_operator_may_switch_the_rule_off(market: Market, license_id: str) -> None:
    with market.house.store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        policy.switch_rule(unit, COMPLIANCE, "T24", off=True, reason="暂不执行存续检查")
    used(market, license_id, "resale")
    chores.note_anomalies(market.house)
    assert told(market, license_id) == []
    assert state(market, license_id) == (LicenseState.ACTIVE, 0)


@pytest.mark.parametrize("actor", [PROVIDER, COMPLIANCE])
def test_the_provider_and_compliance_report_misuse(market: Market, license_id: str, actor: Actor) -> None:
    with pytest.raises(Invalid), market.house.store.unit(actor.id, actor.org) as unit:
        living.report_misuse(unit, actor, license_id, reason="乱用")
    with market.house.store.unit(actor.id, actor.org) as unit:
        hits = living.report_misuse(unit, actor, license_id, reason=SEEN)
    assert [hit.rule for hit in hits] == ["T24"]
    assert told(market, license_id)[0].data["reason"] == SEEN
    assert state(market, license_id) == (LicenseState.ACTIVE, 1)


@pytest.mark.parametrize("actor", [BUYER, OTHER_PROVIDER])
def test_others_know_nothing_of_it(market: Market, license_id: str, actor: Actor) -> None:
    with pytest.raises(NotFound), market.house.store.unit(actor.id, actor.org) as unit:
        living.report_misuse(unit, actor, license_id, reason=SEEN)
