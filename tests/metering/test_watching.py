"""Usage by anything, steps of limits told once, what stands out, and hours sealed once."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from contracts.terms import Tier, VersionRule
from metering import sealing, thresholds
from metering.anomalies import anomalies, findings, note_anomaly
from metering.limits import limits_of
from metering.settings import MeteringSettings
from metering.tables import Gate, RefusalHour, UsageAnomaly, UsageEvent, UsageHour
from metering.till import Till
from metering.usage import span, usage_by
from metering.words import AnomalyKind, By, Kind, LimitUnit, Side
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.problem import Invalid
from storage.unit import Store
from tests.metering.gatehouse import Served
from tests.metering.shelf import BARE, SomePolicy, SomePrice, put_on_shelf
from tests.metering.test_till import a_charge, key7

Licensed = Callable[..., Any]
HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)  # 12:00 in Shanghai
ZONE = "Asia/Shanghai"


def summed(store: Store, hour: datetime, *, license_id: str = "lic_1", **changes: Any) -> None:
    """An hourly sum as the till writes it."""
    values: dict[str, Any] = {
        "credential_id": "cli_1", "purpose": "internal_business", "kind": Kind.ROWS, "product_id": "prd_1",
        "period": clock.period_of(hour, ZONE), "events": 1, "calls": 1, "rows": 10, "bytes": 100, "amount_fen": 5,
    }  # fmt: skip
    with store.unit("system:test") as unit:
        unit.session.add(UsageHour(license_id=license_id, hour=hour, **(values | changes)))
        unit.record("test.used", f"license:{license_id}")


def entries(store: Store, kind: str) -> list[Entry]:
    with store.view() as view:
        return list(view.session.exec(select(Entry).where(Entry.kind == kind).order_by(col(Entry.id))).all())


def together(act: Callable[[], Any]) -> list[Any]:
    """The results of two threads that begin at the same moment."""
    barrier, results = threading.Barrier(2), []

    def run() -> None:
        barrier.wait()
        results.append(act())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    return results


# ------------------------------------------------------------------ usage


def test_usage_is_grouped_by_anything_for_both_sides(store: Store, licensed: Licensed) -> None:
    licensed("lic_1", "lic_2")
    evening = datetime(2026, 3, 10, 17, tzinfo=UTC)  # already the eleventh in Shanghai
    summed(store, NOON)
    summed(store, NOON, credential_id="cli_2", purpose="research", rows=7)
    summed(store, evening, rows=100)
    summed(store, NOON, license_id="lic_2", rows=1000)
    since, until = NOON - HOUR, evening + HOUR

    def rows(by: By, **of: Any) -> dict[str, int]:
        with store.view() as view:
            return {key: used.rows for key, used in usage_by(view, by, since=since, until=until, **of)}

    assert rows(By.HOUR, license_id="lic_1") == {NOON.isoformat(): 17, evening.isoformat(): 100}
    assert rows(By.DAY, license_id="lic_1") == {"2026-03-10": 17, "2026-03-11": 100}
    assert rows(By.PURPOSE, license_id="lic_1") == {"internal_business": 110, "research": 7}
    assert rows(By.CREDENTIAL, license_id="lic_1") == {"cli_1": 110, "cli_2": 7}
    assert rows(By.LICENSE, org=(Side.BOUGHT, "org_buyer")) == {"lic_1": 117, "lic_2": 1000}
    assert rows(By.PRODUCT, org=(Side.SOLD, "org_provider")) == {"prd_1": 1117}
    assert rows(By.PRODUCT, org=(Side.SOLD, "org_buyer")) == rows(By.PRODUCT, org=(Side.BOUGHT, "x")) == {}
    with store.view() as view, pytest.raises(ValueError, match="name a license"):
        usage_by(view, By.DAY, since=since, until=until)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (NOON.replace(tzinfo=None), None),
        (NOON, NOON),
        (NOON, NOON - HOUR),
        (NOON - timedelta(days=33), NOON),
        (None, datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_a_span_that_makes_no_sense_is_refused(since: datetime | None, until: datetime | None) -> None:
    with pytest.raises(Invalid):
        span(By.HOUR, since, until)


# ------------------------------------------------------------------ steps of limits


def note(store: Store) -> list[tuple[LimitUnit, int]]:
    with store.view() as view:
        near = thresholds.licenses_with_new_steps(view)
    found = []
    for license_id in near:
        with store.unit("system:clock") as unit:
            found += [(each.limit.unit, each.step) for each in thresholds.note_steps(unit, license_id)]
    return found


def test_each_step_is_told_once_and_again_after_a_raise(store: Store, licensed: Licensed, till: Till) -> None:
    policy = SomePolicy(limit_calls=4, spend_cap_fen=100, price=SomePrice(call_fen=3))
    credential = licensed("lic_1", policy=policy)

    def call() -> None:
        till.charge(a_charge(credential.id, key7()))

    call()
    assert note(store) == []
    call()
    assert note(store) == [(LimitUnit.CALLS, 50)]
    assert note(store) == []
    call()
    assert note(store) == []  # 75 %
    call()
    assert note(store) == [(LimitUnit.CALLS, 80), (LimitUnit.CALLS, 100)]
    with store.unit("system:test") as unit:
        gate = unit.session.get_one(Gate, "lic_1")
        gate.limit_calls, gate.spend_cap_fen = 8, 15
        unit.record("test.raised", "license:lic_1")
    assert note(store) == [(LimitUnit.CALLS, 50), (LimitUnit.SPEND, 50), (LimitUnit.SPEND, 80)]
    assert note(store) == []
    last = entries(store, "usage.threshold")[-1]
    assert last.subject == "license:lic_1"
    assert last.data == {"limit": "spend", "step": 80, "used": 12, "most": 15}


def test_two_workers_tell_a_step_once(store: Store, licensed: Licensed, till: Till) -> None:
    credential = licensed("lic_1", policy=SomePolicy(limit_rows=10))
    till.charge(a_charge(credential.id, key7()))

    def work() -> int:
        with store.unit("system:clock") as unit:
            return len(thresholds.note_steps(unit, "lic_1"))

    assert sorted(together(work)) == [0, 3]
    assert len(entries(store, "usage.threshold")) == 3


def test_percent_is_never_rounded_up() -> None:
    gate = Gate(
        license_id="l", product_id="p", buyer_id="b", tier=Tier.COMMERCIAL, serve_from=NOON, purposes=[], delivery=[],
        version_rule=VersionRule.LATEST, limit_rows=1000, used_rows=999, limit_calls=0,
    )  # fmt: skip
    calls, rows, *_ = limits_of(gate)
    assert (rows.percent, rows.step, rows.left) == (99, 80, 1)
    assert (calls.percent, calls.step, calls.left) == (0, 0, 0)


# ------------------------------------------------------------------ what stands out


def found(store: Store, now: datetime, **changes: Any) -> list[tuple[AnomalyKind, str, dict[str, int]]]:
    with store.view() as view:
        listed = findings(view, now, zone=ZONE, settings=MeteringSettings(**changes))
    return [(each.kind, each.subject, each.figures) for each in listed]


def test_a_surge_is_measured_by_the_licenses_own_hours(store: Store, licensed: Licensed) -> None:
    licensed("lic_1", "lic_2")
    for back in range(2, 9):
        summed(store, NOON - back * HOUR, calls=200, rows=2000)  # heavy use is usual here
    summed(store, NOON, calls=1999, rows=100)
    summed(store, NOON, license_id="lic_2", calls=999)
    after = NOON + HOUR
    assert found(store, after) == []
    summed(store, NOON, purpose="research", calls=1)
    summed(store, NOON, license_id="lic_2", purpose="research", calls=1)
    assert found(store, after) == [
        (AnomalyKind.SURGE, "license:lic_1", {"calls": 2000, "usually": 200, "hours": 7}),
        (AnomalyKind.SURGE, "license:lic_2", {"calls": 1000, "usually": 100, "hours": 0}),
    ]
    assert found(store, after, surge_times=11) == []
    assert found(store, NOON + 5 * HOUR) == []  # looked at while it was fresh


def test_a_surge_leaves_whole_files_alone(store: Store, licensed: Licensed) -> None:
    licensed("lic_1")
    summed(store, NOON, kind=Kind.DOWNLOAD, rows=5_000_000)
    assert found(store, NOON + HOUR) == []


def test_a_bulk_pull_at_night_is_noted_by_its_share(store: Store, licensed: Licensed) -> None:
    licensed("lic_1")
    midnight = datetime(2026, 3, 9, 16, tzinfo=UTC)  # 2026-03-10 00:00 in Shanghai
    summed(store, midnight + 5 * HOUR, rows=9_000)
    summed(store, midnight + 6 * HOUR, rows=2_500)  # six in the morning is day
    next_day = midnight + timedelta(days=1, hours=9)
    assert found(store, next_day) == []  # few rows
    summed(store, midnight, rows=1_000)
    figures = {"night_rows": 10_000, "rows": 12_500, "percent": 80}
    assert found(store, next_day) == [(AnomalyKind.NIGHT, "license:lic_1", figures)]
    assert found(store, next_day, night_percent=81) == []


@pytest.mark.parametrize(("measure", "floor"), [("calls", 1000), ("bytes", 256 * 2**20)])
def test_a_bulk_pull_at_night_through_a_providers_api_is_noted(
    store: Store, licensed: Licensed, measure: str, floor: int
) -> None:
    licensed("lic_1", "lic_2")
    midnight = datetime(2026, 3, 9, 16, tzinfo=UTC)
    next_day = midnight + timedelta(days=1, hours=9)
    none: dict[str, Any] = {"kind": Kind.CALL, "rows": 0, "calls": 0, "bytes": 0}
    summed(store, midnight + 2 * HOUR, **none | {measure: floor - 1})
    summed(store, midnight, license_id="lic_2", **none | {measure: 3 * floor})
    summed(store, midnight + 9 * HOUR, license_id="lic_2", **none | {measure: floor})
    assert found(store, next_day) == []  # a little less; and less than most of the day
    summed(store, midnight + HOUR, **none | {measure: 1})
    figures = {f"night_{measure}": floor, measure: floor, "percent": 100}
    assert found(store, next_day) == [(AnomalyKind.NIGHT, "license:lic_1", figures)]
    assert found(store, next_day, **{f"night_floor_{measure}": floor + 1, "night_percent": 100}) == []


def test_a_bulk_pull_at_night_is_noted_once_whatever_it_is_measured_by(
    store: Store, licensed: Licensed
) -> None:
    licensed("lic_1")
    midnight = datetime(2026, 3, 9, 16, tzinfo=UTC)
    summed(store, midnight, rows=20_000, calls=2_000, bytes=2**30)
    summed(store, midnight, kind=Kind.REPORTED, rows=20_000, calls=2_000, bytes=2**30)
    ((kind, subject, figures),) = found(store, midnight + timedelta(days=1, hours=9))
    assert (kind, subject) == (AnomalyKind.NIGHT, "license:lic_1")
    assert figures == {"night_rows": 20_000, "rows": 20_000, "percent": 100}


def test_an_anomaly_is_noted_once_with_its_parties(store: Store, licensed: Licensed) -> None:
    licensed("lic_1")
    summed(store, NOON, calls=5000)
    with store.view() as view:
        (finding,) = findings(view, NOON + HOUR, zone=ZONE, settings=MeteringSettings())

    def work() -> bool:
        with store.unit("system:clock") as unit:
            return note_anomaly(unit, finding) is not None

    assert sorted(together(work)) == [False, True]
    (entry,) = entries(store, "usage.anomaly")
    assert (entry.subject, entry.data["anomaly"], entry.data["calls"]) == ("license:lic_1", "surge", 5000)
    with store.view() as view:
        (row,) = anomalies(view, provider_id="org_provider")
        assert anomalies(view, provider_id="org_other") == []
        assert view.session.get_one(Gate, "lic_1").in_force
    assert (row.buyer_id, row.provider_id) == ("org_buyer", "org_provider")


def test_probing_is_counted_by_credential_and_quota_is_not(served: Served) -> None:
    put_on_shelf(served.store, BARE, product_id="prd_9")
    served.open_gate("lic_2", "prd_9")
    served.open_gate("lic_3", limit_calls=0)
    plane = served.gateway.plane
    assert plane is not None
    other, spent = served.bearer("lic_2"), served.bearer("lic_3")
    for _ in range(3):
        assert served.http.get("/data/v1/product-1/rows", headers=other).status_code == 403
        assert served.http.get("/data/v1/product-1/rows", headers=spent).status_code == 403  # quota
        assert (
            served.http.get("/data/v1/product-1/rows", headers={"Authorization": "Bearer x"}).status_code
            == 401
        )
    form = {"grant_type": "client_credentials", "license": "lic_none"}
    served.http.post("/oauth/token", data=form, auth=(served.credential, served.secret))
    served.http.post("/oauth/token", data=form, auth=(served.credential, "wrong"))
    plane.afterwards.flush()
    with served.store.view() as view:
        (row,) = view.session.exec(select(RefusalHour)).all()
    assert (row.credential_id, row.refusals) == (served.credential, 4)
    settings = MeteringSettings(probing_refusals=4)
    with served.store.view() as view:
        (finding,) = findings(view, row.hour + HOUR, zone=ZONE, settings=settings)
    with served.store.unit("system:clock") as unit:
        note_anomaly(unit, finding)
    with served.store.view() as view:
        noted = view.session.exec(select(UsageAnomaly)).one()
    assert (noted.kind, noted.buyer_id, noted.provider_id) == (AnomalyKind.PROBING, "org_buyer", None)
    assert served.http.get("/data/v1/product-1/rows", headers=served.bearer()).status_code == 200


# ------------------------------------------------------------------ sealed hours


def seal_all(store: Store, now: datetime) -> int:
    with store.view() as view:
        hours = sealing.unsealed(view, now)
    for hour in hours:
        with store.view() as view:
            counted = sealing.counted_hour(view, hour)
        with store.unit("system:clock") as unit:
            sealing.seal_hour(unit, counted)
    return len(hours)


def broken(store: Store) -> list[sealing.BrokenSeal]:
    with store.view() as view:
        return sealing.broken_seals(view)


def test_a_closed_hour_is_sealed_and_a_change_is_named(store: Store, licensed: Licensed, till: Till) -> None:
    credential = licensed("lic_1", "lic_2")
    for number in range(5):
        till.charge(a_charge(credential.id, key7(), license_id=f"lic_{number % 2 + 1}"))
    with store.view() as view:
        first = view.session.exec(select(sa.func.min(UsageHour.hour))).one()
        events = len(view.session.exec(select(UsageEvent.id)).all())
    assert seal_all(store, first + HOUR + timedelta(minutes=4)) == 0  # a charge may still be on its way
    assert seal_all(store, first + 3 * HOUR) >= 1
    assert seal_all(store, first + 3 * HOUR) == 0
    sealed = entries(store, "usage.sealed")
    assert sum(entry.data["events"] for entry in sealed) == events == 5
    assert seal_all(store, first + 4 * HOUR + timedelta(minutes=5)) in {1, 2}  # hours without usage, too
    assert broken(store) == []
    with store.unit("system:test") as unit:
        one = unit.session.exec(select(UsageEvent)).first()
        assert one is not None
        gone = clock.hour_of(one.at).isoformat()
        unit.session.delete(one)
        unit.record("test.removed", "event:1")
    (difference,) = broken(store)
    assert difference.hour == gone
    assert difference.expected.split(", ")[0] != difference.found.split(", ")[0]


def test_two_workers_seal_an_hour_once(store: Store, licensed: Licensed, till: Till) -> None:
    credential = licensed("lic_1")
    receipt = till.charge(a_charge(credential.id, key7()))
    with store.view() as view:
        counted = sealing.counted_hour(view, clock.hour_of(receipt.at))
    assert counted.events == 1

    def work() -> bool:
        with store.unit("system:clock") as unit:
            return sealing.seal_hour(unit, counted) is not None

    assert sorted(together(work)) == [False, True]
    assert len(entries(store, "usage.sealed")) == 1
