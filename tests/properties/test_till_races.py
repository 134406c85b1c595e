"""The till where order is not ours.

Several tills on one edge (I2, I4), months that close (I7), a full queue (I11), free doors (I12).
"""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from metering import actions, queries
from metering.gate import Charge
from metering.problems import LicenseNotInForce, QuotaExhausted, SpendCapReached, TillBusy
from metering.settings import MeteringSettings
from metering.tables import UsageEvent
from metering.till import Till
from metering.words import Kind, Settled
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.unit import Store
from tests.metering.shelf import BARE, SomePolicy, SomePrice, put_on_shelf


def opened(store: Store, **policy: Any) -> tuple[str, str]:
    """A license with such a policy and a credential to use it with."""
    put_on_shelf(store, BARE)
    license_id = new_id("lic")
    with store.unit("system:test") as unit:
        actions.open_gate(
            unit, license_id=license_id, product_id="prd_1", buyer_id="org", policy=SomePolicy(**policy)
        )
        credential, _ = actions.keep_credential(unit, org_id="org", kept_by="usr", name="program")
        return license_id, credential.id


BUSY = "busy: 503, Retry-After 1"


def charge(license_id: str, credential: str, key: str, rows: int = 0) -> Charge:
    return Charge(
        license_id, "prd_1", credential, "", "internal_business", Kind.ROWS, key, b"same", calls=1, rows=rows
    )


@settings(max_examples=12)
@given(
    tills=st.integers(1, 4),
    threads=st.integers(1, 16),
    limit=st.integers(0, 60),
    keys=st.lists(st.integers(0, 70), min_size=1, max_size=120),
)
def test_several_tills_end_exactly_at_one_edge(
    store: Store, tills: int, threads: int, limit: int, keys: list[int]
) -> None:
    """As many keys are charged as fit, each once, whoever asks how often, in whatever order."""
    license_id, credential = opened(store, limit_calls=limit, price=SomePrice(call_fen=3))
    running = [Till(store.database, MeteringSettings()) for _ in range(tills)]

    def one(numbered: tuple[int, int]) -> tuple[int, str]:
        turn, key = numbered
        try:
            receipt = running[turn % tills].charge(charge(license_id, credential, f"k{key}"))
        except QuotaExhausted:
            return key, "refused"
        return key, str(receipt.outcome)

    try:
        with ThreadPoolExecutor(threads) as pool:
            told = list(pool.map(one, enumerate(keys)))
    finally:
        for till in running:
            till.close()
    charged = Counter(key for key, outcome in told if outcome == Settled.CHARGED)
    assert set(charged.values()) <= {1}
    assert {key for key, outcome in told if outcome == Settled.DUPLICATE} <= set(charged)
    assert len(charged) == min(limit, len(set(keys)))
    with store.view() as view:
        gate = queries.gate(view, license_id)
        assert (gate.used_calls, gate.spent_fen) == (len(charged), 3 * len(charged))
        assert queries.uncounted(view, license_id) == {}


@settings(max_examples=20)
@given(room=st.integers(1, 8), callers=st.integers(1, 40), on_loop=st.booleans())
def test_who_finds_the_queue_full_is_told_at_once_and_owes_nothing(
    store: Store, room: int, callers: int, *, on_loop: bool
) -> None:
    """While nothing can be settled, at most a batch in hand and a full queue wait; the others may come again."""
    license_id, credential = opened(store, price=SomePrice(call_fen=1))
    till = Till(store.database, MeteringSettings(till_queue=room))
    told: dict[str, str] = {}
    enough = asyncio.Event()

    async def one(key: str) -> None:
        asked = charge(license_id, credential, key)
        try:
            await (till.charge_async(asked) if on_loop else asyncio.to_thread(till.charge, asked))
        except TillBusy as busy:
            told[key] = f"busy: {busy.status}, Retry-After {busy.headers['Retry-After']}"
            if len(told) >= callers - 2 * room:
                enough.set()
        else:
            told[key] = "charged"

    async def all_at_once() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(callers))
        with store.unit("system:test") as unit:  # holds the gate: the till has to wait
            actions.raise_spend_cap(unit, license_id, add_fen=1)
            unit.session.flush()
            asking = [asyncio.create_task(one(f"k{number}")) for number in range(callers)]
            if callers > 2 * room:
                await asyncio.wait_for(enough.wait(), 20)
            assert set(told.values()) <= {BUSY}
        await asyncio.gather(*asking)
        assert booked() == [*told.values()].count("charged")
        for key in [key for key, outcome in told.items() if outcome == BUSY]:
            await one(key)

    def booked() -> int:
        with store.view() as view:
            used = queries.gate(view, license_id).used_calls
            events = select(UsageEvent).where(UsageEvent.license_id == license_id)
            assert len(view.session.exec(events).all()) == used
            return used

    try:
        asyncio.run(all_at_once())
    finally:
        till.close()
    assert booked() == callers == [*told.values()].count("charged")


@settings(max_examples=15)
@given(plan=st.lists(st.sampled_from(["charge", "charge", "charge", "close", "week"]), max_size=25))
def test_a_closed_month_never_changes(store: Store, plan: list[str]) -> None:
    """Every event is in exactly one month, that of its time or the next open one; what is closed stays as it was."""
    license_id, credential = opened(store, spend_cap_fen=60, price=SomePrice(row_fen=1))
    moment = [datetime(2026, 3, 29, 15, tzinfo=UTC)]
    till = Till(store.database, MeteringSettings(), now=lambda: moment[0])
    closed: dict[str, Any] = {}
    with store.database.writing() as connection:  # the months of the example before
        connection.execute(sa.text("DELETE FROM period"))
    try:
        for number, step in enumerate(plan):
            if step == "week":
                moment[0] += timedelta(days=7)
            elif step == "close":
                month = clock.period_of(moment[0] - timedelta(days=34), "Asia/Shanghai")
                with clock.held(moment[0]), store.unit("system:test") as unit:
                    actions.close_period(unit, month)
                closed[month] = sums(store, license_id, month)
            else:
                try:
                    till.charge(charge(license_id, credential, f"k{number}", rows=number))
                except SpendCapReached:
                    continue
            for month, before in closed.items():
                assert sums(store, license_id, month) == before
    finally:
        till.close()
    with store.view() as view:
        events = view.session.exec(select(UsageEvent).where(UsageEvent.license_id == license_id)).all()
        assert queries.uncounted(view, license_id) == {}
        assert sum(event.amount_fen for event in events) == queries.gate(view, license_id).spent_fen <= 60
    assert all(event.period >= clock.period_of(event.at, "Asia/Shanghai") for event in events)


def sums(store: Store, license_id: str, month: str) -> Any:
    with store.view() as view:
        return queries.totals_of_period(view, license_id, month)


@given(rows=st.integers(0, 99), known=st.booleans())
def test_the_paid_path_never_runs_without_a_commercial_license(
    store: Store, rows: int, *, known: bool
) -> None:
    """Neither without a license nor under one for open data; and nothing is left behind."""
    license_id, credential = opened(store, tier="public_good")
    till = Till(store.database, MeteringSettings())
    try:
        with pytest.raises(LicenseNotInForce):
            till.charge(charge(license_id if known else "lic_nobody", credential, "k", rows))
    finally:
        till.close()
    with store.view() as view:
        assert view.session.exec(select(UsageEvent).where(UsageEvent.license_id == license_id)).all() == []
