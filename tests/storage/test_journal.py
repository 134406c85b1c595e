"""The journal: sealed in order, verified without the database, one flipped byte named."""

import json
import threading

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from storage import journal
from storage.journal import Entry
from storage.unit import Store


def write(store: Store, count: int, start: int = 0) -> None:
    for n in range(start, start + count):
        with store.unit("usr_1", "pty_1") as unit:
            unit.record("thing.made", f"thing:{n}", n=n, reason="因为 ünïcode")


def test_entries_are_sealed_in_one_chain(store: Store) -> None:
    write(store, 7)
    assert journal.seal(store) == 7
    assert journal.seal(store) == 0
    write(store, 3, start=7)
    assert journal.seal(store) == 3
    verdict = journal.verify_stored(store)
    assert verdict.ok
    assert verdict.entries == 10
    rows = list(journal.sealed_rows(store, after=8))
    assert [row["seq"] for row in rows] == [9, 10]


def test_two_sealers_at_once_make_one_chain(store: Store) -> None:
    write(store, 1)
    journal.seal(store)
    write(store, 30, start=1)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            journal.seal(store)
        except BaseException as error:  # noqa: BLE001  # reported below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.seal(store)
    assert failures == []
    verdict = journal.verify_stored(store)
    assert verdict.ok
    assert verdict.entries == 31


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE journal_entry SET actor='usr_2' WHERE seq=4", "content does not match"),
        ("DELETE FROM journal_entry WHERE seq=4", "expected seq 4"),
        ("UPDATE journal_entry SET subject='thing:x' WHERE seq=4", "content does not match"),
    ],
)
def test_tampering_is_named(store: Store, change: str, reason: str) -> None:
    write(store, 6)
    journal.seal(store)
    with store.database.writing() as connection:
        connection.execute(sa.text(change))
    verdict = journal.verify_stored(store)
    assert not verdict.ok
    assert verdict.broken_at == 4
    assert reason in (verdict.reason or "")


def test_a_cut_tail_is_noticed(store: Store) -> None:
    write(store, 5)
    journal.seal(store)
    with store.database.writing() as connection:
        connection.execute(sa.text("DELETE FROM journal_entry WHERE seq=5"))
    assert journal.verify_stored(store).reason == "entries are missing at the end"


def test_one_flipped_byte_of_an_export_is_named(store: Store) -> None:
    write(store, 5)
    journal.seal(store)
    lines = [json.dumps(row, ensure_ascii=False) for row in journal.sealed_rows(store)]
    assert journal.verify(json.loads(line) for line in lines).ok
    lines[2] = lines[2].replace('"n": 2', '"n": 3')
    verdict = journal.verify(json.loads(line) for line in lines)
    assert verdict.broken_at == 3
    assert verdict.entry == json.loads(lines[2])["id"]


def test_data_survives_the_round_trip_that_hashing_needs(store: Store) -> None:
    with store.unit("usr_1") as unit:
        unit.record(
            "thing.made",
            "thing:1",
            big=2**53 - 1,
            text="\u2028 中文",
            none=None,
            nested={"b": 1, "a": [1, 2]},
        )
    journal.seal(store)
    assert journal.verify_stored(store).ok
    with store.view() as view:
        entry = view.session.exec(select(Entry).where(col(Entry.kind) == "thing.made")).one()
        assert entry.data["nested"] == {"b": 1, "a": [1, 2]}


def test_listeners_wake_after_the_commit_only(store: Store) -> None:
    seen: list[int] = []

    def listener() -> None:
        with store.view() as view:
            seen.append(len(view.session.exec(select(Entry)).all()))

    store.on_commit(listener)
    with pytest.raises(RuntimeError), store.unit("usr_1") as unit:
        unit.record("thing.made", "thing:1")
        raise RuntimeError
    assert seen == []
    write(store, 1)
    assert seen == [1]
