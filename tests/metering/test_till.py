"""The till counts exactly: duplicates, edges, races between threads and processes, revocations."""

import asyncio
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import select

from metering import actions
from metering.gate import Charge, Receipt, charge_key, event_id
from metering.problems import (
    ChargeKeyReused,
    ChargeKeyUsed,
    InvalidChargeKey,
    InvalidToken,
    LicenseNotInForce,
    NetworksChanged,
    PurposeRefused,
    QuotaExhausted,
    SpendCapReached,
    TicketExpired,
    TillBusy,
)
from metering.settings import MeteringSettings
from metering.tables import Gate, Period, UsageEvent, UsageHour
from metering.till import Till
from metering.tokens import marked
from metering.words import Kind, PeriodState, Settled
from storage.kernel.ids import new_key
from storage.kernel.problem import Problem, Unavailable
from storage.unit import Store
from tests.faults.commit_proxy import Loss
from tests.metering.commits import AroundCommits, losing_one
from tests.metering.shelf import SomePolicy, SomePrice

Licensed = Callable[..., Any]


either_way = pytest.mark.parametrize(
    "charge",
    [Till.charge, lambda till, charge: asyncio.run(till.charge_async(charge))],
    ids=["in a thread", "on a loop"],
)


def key7() -> str:
    raw = bytearray(new_key())
    raw[6], raw[8] = 0x70 | raw[6] & 0x0F, 0x80 | raw[8] & 0x3F
    return str(uuid.UUID(bytes=bytes(raw)))


def a_charge(credential: str, key: str, **changes: Any) -> Charge:
    values: dict[str, Any] = {
        "license_id": "lic_1", "product_id": "prd_1", "credential_id": credential, "jti": "", "calls": 1, "rows": 10,
        "purpose": "internal_business", "kind": Kind.ROWS, "key": key, "fingerprint": b"f" * 16, "size": 100,
    }  # fmt: skip
    return Charge(**(values | changes))


@contextmanager
def no_place_for_hours(store: Store) -> Iterator[None]:
    """A database in which no charge can be written down."""
    with store.database.writing() as connection:
        connection.execute(sa.text("ALTER TABLE usage_hour RENAME TO usage_hour_gone"))
    yield
    with store.database.writing() as connection:
        connection.execute(sa.text("ALTER TABLE usage_hour_gone RENAME TO usage_hour"))


def books(store: Store) -> tuple[Gate, list[UsageEvent], list[UsageHour]]:
    with store.view() as view:
        gate = view.session.get(Gate, "lic_1")
        assert gate is not None
        events = list(view.session.exec(select(UsageEvent)).all())
        return gate, events, list(view.session.exec(select(UsageHour)).all())


def test_a_charge_is_one_event_one_rollup_and_the_gate_moves(
    store: Store, till: Till, licensed: Licensed
) -> None:
    credential = licensed("lic_1", policy=SomePolicy(price=SomePrice(call_fen=5, row_fen=2), limit_calls=10))
    receipt = till.charge(a_charge(credential.id, key7()))
    assert (receipt.outcome, receipt.amount_fen, receipt.left_calls) == (Settled.CHARGED, 25, 9)
    gate, events, hours = books(store)
    assert (gate.used_calls, gate.used_rows, gate.used_bytes, gate.spent_fen) == (1, 10, 100, 25)
    assert [(e.id, e.calls, e.rows, e.bytes, e.amount_fen, e.at) for e in events] == [
        (receipt.id, 1, 10, 100, 25, receipt.at)
    ]
    assert [(h.events, h.calls, h.rows, h.bytes, h.amount_fen) for h in hours] == [(1, 1, 10, 100, 25)]


def test_the_same_key_is_charged_once_and_another_request_under_it_is_refused(
    store: Store, till: Till, licensed: Licensed
) -> None:
    credential = licensed("lic_1", policy=SomePolicy(limit_calls=1))
    key = key7()
    first = till.charge(a_charge(credential.id, key))
    again = till.charge(a_charge(credential.id, key))
    assert (again.outcome, again.id, again.at) == (Settled.DUPLICATE, first.id, first.at)
    with pytest.raises(ChargeKeyReused):
        till.charge(a_charge(credential.id, key, fingerprint=b"g" * 16))
    with pytest.raises(QuotaExhausted):
        till.charge(a_charge(credential.id, key7()))
    assert len(books(store)[1]) == 1


def test_a_key_is_free_for_a_day_then_used(
    store: Store, licensed: Licensed, settings: MeteringSettings
) -> None:
    credential = licensed("lic_1")
    moment = [datetime(2026, 5, 1, tzinfo=UTC)]
    till = Till(store.database, settings, now=lambda: moment[0])
    key = key7()
    till.charge(a_charge(credential.id, key))
    moment[0] += timedelta(hours=23, minutes=59)
    assert till.charge(a_charge(credential.id, key)).outcome is Settled.DUPLICATE
    moment[0] += timedelta(minutes=1)
    with pytest.raises(ChargeKeyUsed):
        till.charge(a_charge(credential.id, key))
    till.close()


@pytest.mark.parametrize(
    ("policy", "charge", "problem"),
    [
        (SomePolicy(limit_rows=9), {}, QuotaExhausted),
        (SomePolicy(limit_bytes=99), {}, QuotaExhausted),
        (SomePolicy(limit_downloads=1), {"downloads": 2}, QuotaExhausted),
        (SomePolicy(spend_cap_fen=9, price=SomePrice(row_fen=1)), {}, SpendCapReached),
        (SomePolicy(serve_from=datetime(2999, 1, 1, tzinfo=UTC)), {}, LicenseNotInForce),
        (SomePolicy(serve_until=datetime(2026, 2, 1, tzinfo=UTC)), {}, LicenseNotInForce),
        (SomePolicy(), {"purpose": "resale"}, PurposeRefused),
        (SomePolicy(), {"product_id": "prd_2"}, LicenseNotInForce),
        (SomePolicy(), {"license_id": "lic_2"}, LicenseNotInForce),
        (SomePolicy(), {"credential_id": "cli_other"}, InvalidToken),
        (SomePolicy(), {"resume_only": True}, TicketExpired),
        (SomePolicy(tier="public_good"), {}, LicenseNotInForce),
    ],
)
def test_what_does_not_fit_is_refused_and_costs_nothing(
    store: Store,
    till: Till,
    licensed: Licensed,
    policy: SomePolicy,
    charge: dict[str, Any],
    problem: type[Problem],
) -> None:
    credential = licensed("lic_1", policy=policy)
    with pytest.raises(problem):
        till.charge(a_charge(**({"credential": credential.id, "key": key7()} | charge)))
    gate, events, hours = books(store)
    assert (gate.used_calls, gate.used_rows, gate.spent_fen, events, hours) == (0, 0, 0, [], [])


def test_per_hit_charges_answers_with_content_only(till: Till, licensed: Licensed) -> None:
    credential = licensed("lic_1", policy=SomePolicy(price=SomePrice(call_fen=7, per_hit=True)))
    assert till.charge(a_charge(credential.id, key7(), rows=0)).amount_fen == 0
    assert till.charge(a_charge(credential.id, key7(), rows=1)).amount_fen == 7


def test_revoked_means_no_answer_and_the_receipt_is_shown(
    store: Store, till: Till, licensed: Licensed
) -> None:
    credential = licensed("lic_1")
    key = key7()
    receipt = till.charge(a_charge(credential.id, key))
    with store.unit("system:test") as unit:
        actions.shut_gate(unit, "lic_1", reason="revoked")
    with pytest.raises(LicenseNotInForce) as refused:
        till.charge(a_charge(credential.id, key))
    assert refused.value.members["reason"] == "revoked"
    assert refused.value.members["receipt"]["charge_id"] == receipt.charge_id


def test_ended_credential_revoked_token_and_taken_down_product_stop_the_till(
    store: Store, till: Till, licensed: Licensed
) -> None:
    credential = licensed("lic_1")
    till.charge(a_charge(credential.id, key7(), jti="t1"))
    with store.unit("system:test") as unit:
        until = datetime(2027, 1, 1, tzinfo=UTC)
        actions.revoke_token(unit, jti="t1", credential_id=credential.id, until=until)
    with pytest.raises(InvalidToken):
        till.charge(a_charge(credential.id, key7(), jti="t1"))
    till.charge(a_charge(credential.id, key7(), jti="t2"))
    with store.unit("system:test") as unit:
        actions.unshelve(unit, "prd_1", reason="objection")
    with pytest.raises(LicenseNotInForce) as refused:
        till.charge(a_charge(credential.id, key7(), jti="t2"))
    assert refused.value.members["reason"] == "taken_down"
    with store.unit("system:test") as unit:
        actions.end_credential(unit, credential.id, org_id="org_buyer", reason="leaked")
    with pytest.raises(InvalidToken):
        till.charge(a_charge(credential.id, key7(), jti="t2"))


def test_a_token_issued_for_other_networks_stops_at_the_till(
    store: Store, till: Till, licensed: Licensed
) -> None:
    credential = licensed("lic_1")

    def networks(*cidrs: str) -> None:
        with store.unit("system:test") as unit:
            actions.set_networks(unit, credential.id, org_id="org_buyer", cidrs=cidrs)

    def pay(jti: str) -> None:
        till.charge(a_charge(credential.id, key7(), jti=jti))

    here, there = ["10.0.0.0/8", "192.0.2.0/24"], ["198.51.100.0/24"]
    pay("t1")
    networks(*here)
    for other in ("t1", marked("t1", there)):
        with pytest.raises(NetworksChanged):
            pay(other)
    pay(marked("t1", here))
    networks(*reversed(here))
    pay(marked("t1", here))
    pay("")  # what a provider reports comes without a token
    networks()
    with pytest.raises(NetworksChanged):
        pay(marked("t1", here))
    pay("t1")
    assert len(books(store)[1]) == 5


def test_eight_threads_end_exactly_at_the_quota(store: Store, till: Till, licensed: Licensed) -> None:
    credential = licensed("lic_1", policy=SomePolicy(limit_calls=300))
    keys = [key7() for _ in range(350)]

    def work(number: int) -> int:
        admitted = 0
        for key in keys[number % 4 :: 4] * 2:  # every key is tried by two threads, twice
            try:
                admitted += till.charge(a_charge(credential.id, key)).outcome is Settled.CHARGED
            except QuotaExhausted:
                continue
        return admitted

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 300
    gate, events, hours = books(store)
    assert gate.used_calls == len(events) == sum(hour.calls for hour in hours) == 300


PROCESS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from metering.gate import Charge
from metering.problems import QuotaExhausted
from metering.settings import MeteringSettings
from metering.till import Till
from metering.words import Kind
from storage.database import Database

till = Till(Database(sys.argv[1]), MeteringSettings())

def work(key):
    charge = Charge("lic_1", "prd_1", sys.argv[2], "", "internal_business", Kind.ROWS, key, b"f", calls=1)
    try:
        return till.charge(charge).outcome == "charged"
    except QuotaExhausted:
        return False

with ThreadPoolExecutor(16) as pool:
    print(sum(pool.map(work, sys.argv[3].split())))
till.close()
"""


def test_two_processes_with_the_same_keys_end_exactly_at_the_quota(
    store: Store, licensed: Licensed, database_url: str
) -> None:
    credential = licensed("lic_1", policy=SomePolicy(limit_calls=200))
    keys = " ".join(key7() for _ in range(260))
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, database_url, credential.id, keys],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(2)
    ]
    charged = sum(int(worker.communicate(timeout=60)[0]) for worker in workers)
    gate, events, hours = books(store)
    assert charged == gate.used_calls == len(events) == sum(hour.events for hour in hours) == 200


def test_nothing_is_charged_after_a_revocation_under_load(
    store: Store, till: Till, licensed: Licensed
) -> None:
    credential = licensed("lic_1")
    refused: list[str] = []

    def load() -> None:
        while True:
            try:
                till.charge(a_charge(credential.id, key7()))
            except LicenseNotInForce as problem:
                refused.append(problem.members["reason"])
                return

    threads = [threading.Thread(target=load, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    while len(books(store)[1]) < 20:
        time.sleep(0.01)
    with store.unit("system:test") as unit:
        actions.shut_gate(unit, "lic_1", reason="revoked")
    after = len(books(store)[1])
    for thread in threads:
        thread.join(10)
    assert len(books(store)[1]) == after
    assert refused == ["revoked"] * 6


def test_a_full_queue_and_a_closed_till_say_busy(
    store: Store, licensed: Licensed, settings: MeteringSettings
) -> None:
    credential = licensed("lic_1")
    small = Till(store.database, settings.model_copy(update={"till_queue": 2}))
    answers: list[str] = []

    def one() -> None:
        try:
            small.charge(a_charge(credential.id, key7()))
            answers.append("charged")
        except TillBusy:
            answers.append("busy")

    threads = [threading.Thread(target=one) for _ in range(12)]
    with store.unit("system:test") as unit:  # holds the gate: the till has to wait
        actions.raise_spend_cap(unit, "lic_1", add_fen=10**6)
        unit.session.flush()
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 5
        while answers.count("busy") < 8 and time.monotonic() < deadline:
            time.sleep(0.01)  # at most two in the till's hand and two in the queue
    for thread in threads:
        thread.join()
    assert answers.count("busy") >= 8
    assert answers.count("charged") == len(books(store)[1]) == 12 - answers.count("busy")
    small.close()
    with pytest.raises(TillBusy) as busy:
        small.charge(a_charge(credential.id, key7()))
    assert busy.value.headers["Retry-After"] == "1"


def test_a_database_that_fails_charges_nothing_and_recovers(
    store: Store, till: Till, licensed: Licensed
) -> None:
    credential = licensed("lic_1")
    with no_place_for_hours(store), pytest.raises(Unavailable):
        till.charge(a_charge(credential.id, "k1"))
    assert books(store)[0].used_calls == 0
    assert till.charge(a_charge(credential.id, "k1")).outcome is Settled.CHARGED


@pytest.mark.parametrize("loss", list(Loss))
@either_way
def test_a_connection_lost_while_committing_is_looked_up(
    store: Store,
    settings: MeteringSettings,
    licensed: Licensed,
    around_commits: AroundCommits,
    *,
    charge: Callable[..., Receipt],
    loss: Loss,
) -> None:
    credential = licensed("lic_1")
    with losing_one(store.database, settings, around_commits, loss) as (till, lost):
        if loss is Loss.REQUEST:
            with pytest.raises(Unavailable):
                charge(till, a_charge(credential.id, "k1"))
            assert books(store)[1] == []
        assert charge(till, a_charge(credential.id, "k1")).outcome is Settled.CHARGED
        assert lost() == 1
    assert len(books(store)[1]) == 1


def test_what_happens_after_a_close_is_booked_into_the_next_month(
    store: Store, licensed: Licensed, settings: MeteringSettings
) -> None:
    credential = licensed("lic_1")
    with store.unit("system:test") as unit:
        unit.session.add(Period(period="2026-05", state=PeriodState.CLOSED))
        unit.record("period.closed", "period:2026-05")
    till = Till(store.database, settings, now=lambda: datetime(2026, 5, 31, 15, 59, tzinfo=UTC))
    till.charge(a_charge(credential.id, key7()))
    till.close()
    _, events, hours = books(store)
    assert [event.period for event in events] == ["2026-06"] == [hour.period for hour in hours]


def test_event_ids_take_their_time_from_the_key() -> None:
    key = key7()
    assert event_id("lic_1", key)[:6] == uuid.UUID(key).bytes[:6]
    assert event_id("lic_1", "opaque")[:6] == bytes(6)
    assert event_id("lic_1", key) != event_id("lic_2", key)
    assert charge_key(f'"{key.upper()}"') == key
    for bad in ("", " ", "a b", "键", "x" * 201, "a\n"):
        with pytest.raises(InvalidChargeKey):
            charge_key(bad)
