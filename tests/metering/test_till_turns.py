"""Whose turn it is at the till: the event loop's, and the writer's otherwise; the counting is the same."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from metering.problems import QuotaExhausted, TillBusy
from metering.settings import MeteringSettings
from metering.till import Till
from metering.words import Settled
from storage.kernel import clock
from storage.kernel.problem import Problem, Unavailable
from storage.unit import Store
from tests.faults.wire import eventually
from tests.metering.commits import Disk
from tests.metering.shelf import SomePolicy
from tests.metering.test_till import a_charge, books, key7, no_place_for_hours

Licensed = Callable[..., Any]
_LOOP, _WRITER = "MainThread", "till"


class Watched:
    """A till that notes which thread decides each batch, and can be made to think long."""

    def __init__(self, store: Store, settings: MeteringSettings) -> None:
        self.deciders: list[str] = []
        self.think = 0.0
        self.till = Till(store.database, settings, now=self._now)
        eventually(lambda: store.database.is_sqlite or self.till.talks)

    def _now(self) -> datetime:
        self.deciders.append(threading.current_thread().name)
        time.sleep(self.think)
        return clock.now()


@pytest.fixture
def watched(store: Store, settings: MeteringSettings) -> Iterator[Watched]:
    made = Watched(store, settings)
    yield made
    made.till.close()


async def _ticks(until: "asyncio.Future[Any] | asyncio.Task[Any]") -> int:
    """How often the loop came round meanwhile."""
    count = 0
    while not until.done():
        await asyncio.sleep(0.005)
        count += 1
    return count


def test_a_crowd_on_the_loop_is_one_batch(store: Store, watched: Watched, licensed: Licensed) -> None:
    credential = licensed("lic_1")

    async def crowd() -> list[Any]:
        return await asyncio.gather(
            *(watched.till.charge_async(a_charge(credential.id, key7())) for _ in range(100))
        )

    receipts = asyncio.run(crowd())
    assert {receipt.outcome for receipt in receipts} == {Settled.CHARGED}
    assert set(watched.deciders) == {_LOOP}
    if store.database.is_sqlite:
        assert len(watched.deciders) == 1
    assert len(books(store)[1]) == 100


def test_while_somebody_else_writes_the_loop_goes_on_and_has_the_next_turn(
    store: Store, watched: Watched, licensed: Licensed
) -> None:
    credential = licensed("lic_1")
    writing, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with store.database.writing() as connection:
            connection.execute(sa.text("UPDATE gate SET used_rows = used_rows"))
            writing.set()
            enough.wait(10)

    async def charged() -> None:
        writing.wait(10)
        charge = asyncio.create_task(watched.till.charge_async(a_charge(credential.id, "k1")))
        turns = asyncio.create_task(_ticks(charge))
        await asyncio.sleep(0.2)
        assert not charge.done()
        enough.set()
        assert (await charge).outcome is Settled.CHARGED
        assert await turns > 10
        assert (await watched.till.charge_async(a_charge(credential.id, "k2"))).outcome is Settled.CHARGED

    holder = threading.Thread(target=hold)
    holder.start()
    asyncio.run(charged())
    holder.join()
    # On SQLite it has tried once in vain; PostgreSQL is waited for in conversation.
    assert watched.deciders == [_LOOP] * (3 if store.database.is_sqlite else 2)
    assert len(books(store)[1]) == 2


def test_who_is_outrun_again_and_again_queues_up(store: Store, watched: Watched, licensed: Licensed) -> None:
    credential = licensed("lic_1")
    enough = threading.Event()

    def write() -> None:
        while not enough.is_set():
            with store.database.writing() as connection:
                connection.execute(sa.text("UPDATE gate SET used_rows = used_rows"))
                time.sleep(0.002)

    async def charged() -> None:
        for number in range(20):
            receipt = await watched.till.charge_async(a_charge(credential.id, f"k{number}"))
            assert receipt.outcome is Settled.CHARGED

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        asyncio.run(asyncio.wait_for(charged(), 20))
    finally:
        enough.set()
        for writer in writers:
            writer.join()
    # PostgreSQL lets in who has waited longest, so the conversation goes on.
    assert (_WRITER in watched.deciders) is store.database.is_sqlite
    assert len(books(store)[1]) == 20


def test_a_slow_disk_does_not_hold_the_loop(
    store: Store, watched: Watched, licensed: Licensed, disk: Disk
) -> None:
    credential = licensed("lic_1")

    async def charged() -> None:
        for key in ("k1", "k2"):
            disk.hold()
            threading.Timer(0.2, disk.let_go).start()
            charge = asyncio.create_task(watched.till.charge_async(a_charge(credential.id, key)))
            assert await _ticks(charge) > 10
            assert (await charge).outcome is Settled.CHARGED

    asyncio.run(charged())
    assert len(books(store)[1]) == 2


def test_a_loop_that_ends_keeps_no_answer_from_another(
    watched: Watched, licensed: Licensed, disk: Disk
) -> None:
    credential = licensed("lic_1")
    till = watched.till
    asked, gone = threading.Event(), threading.Event()

    async def patient() -> Settled:
        charge = asyncio.create_task(till.charge_async(a_charge(credential.id, "k1")))
        await asyncio.sleep(0)
        asked.set()
        gone.wait(10)  # so that the other loop's turn comes first
        return (await asyncio.wait_for(charge, 10)).outcome

    async def leaving() -> None:
        charge = asyncio.create_task(till.charge_async(a_charge(credential.id, "k2")))
        await asyncio.sleep(0.1)
        assert not charge.done()

    disk.hold()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asyncio.run, patient())
        assert asked.wait(10)
        asyncio.run(leaving())
        gone.set()
        disk.let_go()
        assert answer.result() is Settled.CHARGED


def test_who_asks_again_at_once_is_heard(store: Store, till: Till, licensed: Licensed) -> None:
    """Whatever moment the writer is at: threads take turns as often as they can."""
    credential = licensed("lic_1")
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(600):
            assert till.charge(a_charge(credential.id, key7()), timeout=20).outcome is Settled.CHARGED
    finally:
        sys.setswitchinterval(usual)
    assert len(books(store)[1]) == 600


def test_who_thinks_too_long_on_the_loop_twice_rests(
    store: Store, watched: Watched, licensed: Licensed
) -> None:
    credential = licensed("lic_1")

    async def charged() -> None:
        for number, think in enumerate((0.15, 0.0, 0.15, 0.15, 0.0)):
            watched.think = think
            await watched.till.charge_async(a_charge(credential.id, f"k{number}"))
        await asyncio.sleep(0.3)
        await watched.till.charge_async(a_charge(credential.id, "later"))

    asyncio.run(charged())
    # In conversation the loop is held by deciding alone.
    assert watched.deciders == [_LOOP] * 4 + [_WRITER if store.database.is_sqlite else _LOOP, _LOOP]


def test_a_turn_that_fails_is_left_to_the_writer(store: Store, watched: Watched, licensed: Licensed) -> None:
    credential = licensed("lic_1")
    with no_place_for_hours(store), pytest.raises(Unavailable):
        asyncio.run(watched.till.charge_async(a_charge(credential.id, "k1")))
    assert watched.deciders[-1] == _WRITER
    assert books(store)[0].used_calls == 0
    assert asyncio.run(watched.till.charge_async(a_charge(credential.id, "k1"))).outcome is Settled.CHARGED


def test_a_gate_that_cannot_be_read_keeps_nobody_waiting(
    store: Store, watched: Watched, licensed: Licensed
) -> None:
    credential = licensed("lic_1")
    with store.database.writing() as connection:
        connection.execute(sa.text("""UPDATE gate SET tariff = '{"steps": "none"}'"""))
    for _ in range(2):
        with pytest.raises(Unavailable):
            asyncio.run(watched.till.charge_async(a_charge(credential.id, "k1")))
    with store.database.writing() as connection:
        connection.execute(sa.text("UPDATE gate SET tariff = NULL"))
    assert asyncio.run(watched.till.charge_async(a_charge(credential.id, "k1"))).outcome is Settled.CHARGED


def test_loops_and_threads_together_end_exactly_at_the_quota(
    store: Store, till: Till, licensed: Licensed
) -> None:
    credential = licensed("lic_1", policy=SomePolicy(limit_calls=150))

    async def one() -> str:
        try:
            await till.charge_async(a_charge(credential.id, key7()))
        except QuotaExhausted:
            return "refused"
        return "charged"

    async def several() -> list[str]:
        answers: list[str] = []
        for _ in range(4):
            answers += await asyncio.gather(*(one() for _ in range(20)))
        return answers

    def in_thread() -> list[str]:
        answers = []
        for _ in range(40):
            try:
                till.charge(a_charge(credential.id, key7()))
                answers.append("charged")
            except QuotaExhausted:
                answers.append("refused")
        return answers

    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(asyncio.run, several()) for _ in range(2)] + [
            pool.submit(in_thread) for _ in range(2)
        ]
        answers = [answer for each in work for answer in each.result(60)]
    assert answers.count("charged") == 150 == len(books(store)[1])
    assert answers.count("refused") == 240 - 150


def test_closed_under_load_every_charge_is_answered(
    store: Store, licensed: Licensed, settings: MeteringSettings
) -> None:
    credential = licensed("lic_1")
    till = Till(store.database, settings)

    async def one() -> str:
        try:
            await till.charge_async(a_charge(credential.id, key7()))
        except TillBusy:
            return "busy"
        except Problem as problem:
            return type(problem).__name__
        return "charged"

    async def load() -> list[str]:
        first = asyncio.gather(*(one() for _ in range(300)))
        await asyncio.sleep(0.005)
        closing = asyncio.create_task(asyncio.to_thread(till.close))
        later = asyncio.gather(*(one() for _ in range(50)))
        answers = [*await first, *await later]
        await closing
        return answers

    answers = asyncio.run(asyncio.wait_for(load(), 30))
    assert set(answers) <= {"charged", "busy"}
    assert answers.count("charged") == len(books(store)[1])
    assert not till.alive
