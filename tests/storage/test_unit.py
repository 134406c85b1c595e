"""One Unit is one commit with its explanation; traps of sessions and locks stay closed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from storage import idempotency
from storage.columns import choice
from storage.database import Database, FairLock, NoStandby, open_database, refuse_network_file_system
from storage.journal import Entry
from storage.kernel.problem import Unavailable
from storage.kernel.words import Worded
from storage.objects import LocalObjects
from storage.sequence import Sequence, document_number, next_in_sequence
from storage.settings import StorageSettings
from storage.unit import EmptyUnit, SlowInsideUnit, Store
from tests.faults.wire import eventually


def test_a_unit_that_raises_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.unit("system:test") as unit:
        unit.record("thing.made", "thing:1")
        raise RuntimeError
    with store.view() as view:
        assert view.session.exec(select(Entry)).all() == []


def test_changes_without_an_entry_are_refused(store: Store) -> None:
    from storage.journal import Entry as AnyTable

    with pytest.raises(EmptyUnit), store.unit("system:test") as unit:
        unit.session.execute(
            sa.insert(AnyTable).values(
                id="x", at=datetime.now(UTC), kind="k", subject="s", actor="a", data={}
            )
        )
    with store.view() as view:
        assert view.session.exec(select(Entry)).all() == []


def test_a_view_cannot_write(store: Store) -> None:
    with pytest.raises(DBAPIError), store.view() as view:
        view.session.add(Sequence(name="x", last=1))
        view.session.flush()


def test_slow_doors_are_shut_while_a_unit_is_open(store: Store, objects: LocalObjects) -> None:
    with store.unit("system:test") as unit:
        unit.record("thing.made", "thing:1")
        with pytest.raises(SlowInsideUnit):
            objects.put_bytes(b"x")
    objects.put_bytes(b"x")


def test_a_unit_inside_a_unit_is_refused(store: Store) -> None:
    with store.unit("system:test") as unit:
        unit.record("thing.made", "thing:1")
        with pytest.raises(RuntimeError, match="already open"), store.unit("system:test"):
            pass


def test_read_modify_write_loses_nothing_between_threads(store: Store) -> None:
    def work() -> None:
        for _ in range(25):
            with store.unit("system:test") as unit:
                next_in_sequence(unit, "counter")

    with store.unit("system:test") as unit:
        next_in_sequence(unit, "counter")
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.view() as view:
        counter = view.session.get(Sequence, "counter")
        assert counter is not None
        assert counter.last == 201


def test_document_numbers_have_no_gap_after_a_rollback(store: Store) -> None:
    with pytest.raises(RuntimeError), store.unit("system:test") as unit:
        document_number(unit, "DD", 2026)
        raise RuntimeError
    with store.unit("system:test") as unit:
        assert document_number(unit, "DD", 2026).startswith("DD-2026-000001-")


def test_the_writers_queue_is_first_come_first_served() -> None:
    lock, order = FairLock(None), []
    lock.acquire()

    def wait(name: int) -> None:
        lock.acquire()
        order.append(name)
        lock.release()

    threads = []
    for name in range(6):
        thread = threading.Thread(target=wait, args=(name,))
        thread.start()
        threads.append(thread)
        deadline = time.monotonic() + 5
        while len(lock._queue) < name + 2 and time.monotonic() < deadline:
            time.sleep(0.001)
    lock.release()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4, 5]


def test_a_process_that_stands_still_with_the_lock_keeps_nobody_waiting_for_ever(tmp_path: Path) -> None:
    """Two locks of one file are to each other what two processes are."""
    mine, other = FairLock(tmp_path / "lock"), FairLock(tmp_path / "lock")
    other.acquire()
    for _ in range(2):
        with pytest.raises(Unavailable):
            mine.acquire(0.05)
    assert not mine.acquire_at_once()
    other.release()
    eventually(other.acquire_at_once)  # what came too late was given back
    other.release()
    mine.acquire(5)
    assert not other.acquire_at_once()
    mine.release()
    mine.close()
    other.close()


def test_who_waits_after_somebody_gave_up_has_the_lock_of_the_other_process_next(tmp_path: Path) -> None:
    mine, other = FairLock(tmp_path / "lock"), FairLock(tmp_path / "lock")
    other.acquire()
    with ThreadPoolExecutor(2) as pool:
        impatient = pool.submit(mine.acquire, 0.05)
        eventually(lambda: bool(mine._queue))
        patient = pool.submit(mine.acquire, 10)
        with pytest.raises(Unavailable):
            impatient.result(5)
        other.release()
        patient.result(5)
    assert not other.acquire_at_once()
    mine.release()
    assert other.acquire_at_once()
    mine.close()
    other.close()


def test_a_commit_is_on_the_disk_whatever_the_server_is_set_to(database: Database) -> None:
    with database.reading() as connection:
        if database.is_sqlite:
            version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
            assert tuple(int(part) for part in version.split(".")) >= (3, 51, 3)
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        else:
            assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "read committed"
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


def test_what_a_power_cut_may_take_back_waits_for_no_disk(database: Database) -> None:
    """And whoever writes next waits for it again."""
    asked, waits, hastens = (
        ("PRAGMA synchronous", "2", "1") if database.is_sqlite else ("SHOW synchronous_commit", "on", "off")
    )

    def told(*, durable: bool) -> str:
        with database.writing(durable=durable) as connection:
            return str(connection.exec_driver_sql(asked).scalar_one())

    assert [told(durable=durable) for durable in (True, False, True, False)] == [waits, hastens] * 2


def test_what_a_power_cut_may_take_back_cannot_jump_the_queue(database: Database) -> None:
    """It would wait for the disk after all."""
    with pytest.raises(ValueError, match="durable"), database.writing(wait=False, durable=False):
        pass


def test_a_database_without_the_standby_that_is_asked_for_is_refused(
    database_url: str,
) -> None:
    asking = StorageSettings(database_url=database_url, standby=True)
    with pytest.raises(NoStandby), open_database(asking).writing():
        pass


def test_a_network_file_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import storage.database as module

    monkeypatch.setattr(module, "NETWORK_FILE_SYSTEMS", {"proc"})
    with pytest.raises(RuntimeError, match="cannot live on proc"):
        refuse_network_file_system(Path("/proc/self"))


class Colour(Worded):
    RED = "red", "红", "Red"


def test_an_enum_is_stored_by_value_and_checked(store: Store) -> None:
    painted = sa.Table("painted", sa.MetaData(), sa.Column("colour", choice(Colour)))
    with store.database.writing() as connection:
        painted.create(connection)
        connection.execute(sa.insert(painted).values(colour=Colour.RED))
    with store.database.reading() as connection:
        assert connection.execute(sa.text("SELECT colour FROM painted")).scalar_one() == "red"
        assert connection.execute(sa.select(painted)).scalar_one() is Colour.RED
    with pytest.raises(DBAPIError), store.database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO painted (colour) VALUES ('RED')")


def test_the_same_key_and_body_is_done_once(store: Store) -> None:
    done: list[int] = []

    def act() -> dict[str, int]:
        done.append(1)
        return {"n": len(done)}

    for _ in range(2):
        with store.unit("usr_1") as unit:
            unit.record("thing.made", "thing:1")
            assert idempotency.once(unit, "key-1", "body-a", act) == {"n": 1}
    with pytest.raises(idempotency.IdempotencyKeyReused), store.unit("usr_1") as unit:
        idempotency.once(unit, "key-1", "body-b", act)
    with store.unit("usr_2") as unit:
        unit.record("thing.made", "thing:1")
        assert idempotency.once(unit, "key-1", "body-b", act) == {"n": 2}


def test_two_at_once_with_one_key_act_once(store: Store) -> None:
    done: list[int] = []
    answers: list[object] = []

    def work() -> None:
        def act() -> dict[str, int]:
            done.append(1)
            time.sleep(0.05)
            return {"n": 1}

        try:
            with store.unit("usr_1") as unit:
                unit.record("thing.made", "thing:1")
                answers.append(idempotency.once(unit, "key-1", "body", act))
        except DBAPIError as error:
            answers.append(type(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.view() as view:
        assert len(view.session.exec(select(Entry)).all()) == sum(isinstance(a, dict) for a in answers)
        assert len(view.session.exec(select(idempotency.IdempotencyKey)).all()) == 1
    assert {"n": 1} in answers
