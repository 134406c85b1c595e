"""Reactions: in order, once, at their own pace; a bad entry is parked and stops nobody behind it."""

import threading
from datetime import timedelta

from sqlmodel import col, select

from storage import journal
from storage.dispatch import MAX_FAILURES, Errand, Reaction, dispatch, lag
from storage.journal import Cursor, Entry
from storage.kernel import clock
from storage.sequence import Sequence, next_in_sequence
from storage.unit import Store, Unit


def write(store: Store, *kinds: str) -> None:
    for kind in kinds:
        with store.unit("usr_1") as unit:
            unit.record(kind, "thing:1")
    journal.seal(store)


def count(unit: Unit, entry: Entry) -> None:
    next_in_sequence(unit, f"seen-{entry.kind}")


COUNTING = Reaction("counting", frozenset({"thing.made", "thing.sold"}), count)


def seen(store: Store, kind: str) -> int:
    with store.view() as view:
        row = view.session.get(Sequence, f"seen-{kind}")
    return row.last if row else 0


def test_a_reaction_takes_each_entry_once(store: Store) -> None:
    write(store, "thing.made", "other.made", "thing.sold", "thing.made")
    assert lag(store, [COUNTING])["counting"] == 3
    assert dispatch(store, [COUNTING], None) == 3
    assert dispatch(store, [COUNTING], None) == 0
    assert (seen(store, "thing.made"), seen(store, "thing.sold"), seen(store, "other.made")) == (2, 1, 0)


def test_two_dispatchers_at_once_take_each_entry_once(store: Store) -> None:
    write(store, "thing.made")
    dispatch(store, [COUNTING], None)
    write(store, *["thing.made"] * 20)
    threads = [threading.Thread(target=dispatch, args=(store, [COUNTING], None)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dispatch(store, [COUNTING], None)
    assert seen(store, "thing.made") == 21


def test_what_is_not_sealed_is_not_taken(store: Store) -> None:
    with store.unit("usr_1") as unit:
        unit.record("thing.made", "thing:1")
    assert dispatch(store, [COUNTING], None) == 0
    assert lag(store, [COUNTING])["unsealed"] == 1


def test_a_failing_reaction_waits_then_parks_and_goes_on(store: Store) -> None:
    tried: list[str] = []

    def fail_on_first(unit: Unit, entry: Entry) -> None:
        tried.append(entry.id)
        if entry.data.get("bad"):
            next_in_sequence(unit, "half-done")
            raise RuntimeError("cannot")

    with store.unit("usr_1") as unit:
        bad = unit.record("thing.made", "thing:1", bad=True)
    write(store, "thing.made")
    failing = Reaction("failing", frozenset({"thing.made"}), fail_on_first)
    at = clock.now()
    for attempt in range(MAX_FAILURES):
        with clock.held(at + timedelta(hours=attempt)):
            dispatch(store, [failing], None)
            dispatch(store, [failing], None)  # too early: it waits
    assert tried.count(bad.id) == MAX_FAILURES
    with clock.held(at + timedelta(days=1)):
        dispatch(store, [failing], None)
    assert len(tried) == MAX_FAILURES + 1
    with store.view() as view:
        parked = view.session.exec(select(Entry).where(col(Entry.kind) == "reaction.parked")).one()
        assert parked.subject == f"entry:{bad.id}"
        assert view.session.get(Sequence, "half-done") is None  # what it changed was rolled back


def test_an_errand_runs_outside_any_unit(store: Store) -> None:
    ran: list[str] = []

    def run(context: str, entry: Entry) -> None:
        with store.unit("system:errand") as unit:  # would be refused inside a Unit
            unit.record("errand.done", f"entry:{entry.id}")
        ran.append(context)

    write(store, "thing.made")
    dispatch(store, [Errand("errand", frozenset({"thing.made"}), run)], "house")
    assert ran == ["house"]
    with store.view() as view:
        cursor = view.session.get(Cursor, "errand")
        assert cursor is not None
        assert cursor.seq == 1
