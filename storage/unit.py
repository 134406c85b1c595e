"""One write command = one Unit = one commit = at least one journal entry. Reads use a View."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import ORMExecuteState
from sqlalchemy.orm import Session as AnySession
from sqlmodel import Session

from storage.columns import Mechanism
from storage.database import Database
from storage.footprints import Footprints
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.ids import new_id

_open = threading.local()


class SlowInsideUnit(RuntimeError):
    """A slow door was opened while a Unit held the write lock: an upload would stop the till."""


class EmptyUnit(RuntimeError):
    """A Unit changed things and explained nothing: `record` was never called."""


def slow(door: str) -> None:
    """Called by every slow door (objects, DuckDB, PDF, HTTP, password hashing) before it works."""
    if getattr(_open, "depth", 0):
        raise SlowInsideUnit(f"{door} was used inside a Unit; do it before or after")


class View:
    """A read-only session."""

    def __init__(self, session: Session) -> None:
        self.session = session


class Unit(View):
    """One write transaction in the name of one actor."""

    def __init__(
        self, session: Session, actor: str, org: str | None, role_of: "RoleOf | None" = None
    ) -> None:
        super().__init__(session)
        self.actor = actor
        self.org = org
        self.footprints = Footprints()
        self._role_of = role_of
        self.unexplained = False
        self.entries: list[Entry] = []

    def record(self, kind: str, subject: str, /, **data: Any) -> Entry:
        """Write the journal entry that explains this change.

        kind: `noun.past`; subject: `noun:id`; data: ids, hashes, codes, numbers, a reason. Actor,
        organization and role, and what the subject was before and is after, are added here.
        """
        entry = Entry(
            id=new_id("ent"),
            at=clock.now(),
            kind=kind,
            subject=subject,
            actor=self.actor,
            org=self.org,
            data=data,
        )
        self.entries.append(entry)
        return entry

    def close(self) -> None:
        """Write the entries, now that it is known what each subject has become."""
        role = self._role_of(self, self.actor, self.org) if self._role_of and self.entries else None
        for entry in self.entries:
            entry.role = role
            entry.before, entry.after = self.footprints.of(entry.subject)
        self.session.add_all(self.entries)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A part that may fail by itself: what it raises undoes this part, with its entries, and nothing else."""
        kept = len(self.entries)
        try:
            with self.session.begin_nested():
                yield
        except BaseException:
            del self.entries[kept:]
            raise


RoleOf = Callable[[View, str, str | None], str | None]


class Store:
    """The doors to the database for everything above the ground floor."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.role_of: RoleOf | None = None  # the roles of an actor in an organization, told by the house
        self._listeners: list[Callable[[], None]] = []

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call `listener` (fast, never raising) after every Unit of this process that wrote entries."""
        self._listeners.append(listener)

    @contextmanager
    def unit(self, actor: str, org: str | None = None) -> Iterator[Unit]:
        """One write transaction. Raises EmptyUnit when things changed and nothing was recorded."""
        _refuse_second()  # before the queue of writers, where it would wait for itself
        with self.database.writing() as connection, unit_within(connection, actor, org, self.role_of) as unit:
            yield unit
        if unit.entries:
            for listener in self._listeners:
                listener()

    @contextmanager
    def view(self) -> Iterator[View]:
        """A read-only session; writing through it fails in the database itself."""
        with self.database.reading() as connection, Session(connection, expire_on_commit=False) as session:
            yield View(session)

    @contextmanager
    def snapshot(self) -> Iterator[View]:
        """A read-only session in which everything is seen as it was at one moment."""
        with self.database.snapshot() as connection, Session(connection, expire_on_commit=False) as session:
            yield View(session)


@contextmanager
def unit_within(
    connection: sa.Connection, actor: str, org: str | None = None, role_of: RoleOf | None = None
) -> Iterator[Unit]:
    """A Unit inside a write transaction that is open already and that the caller commits.

    Raises EmptyUnit when things changed and nothing was recorded.
    """
    _refuse_second()
    _open.depth = 1
    try:
        with Session(connection, expire_on_commit=False, join_transaction_mode="rollback_only") as session:
            unit = Unit(session, actor, org, role_of)
            _watch(unit)
            yield unit
            session.flush()
            if unit.unexplained and not unit.entries:
                raise EmptyUnit("changes without a journal entry")
            unit.close()
            session.flush()
            if unit.entries and connection.dialect.name == "postgresql":
                session.connection().exec_driver_sql("NOTIFY shugang_journal")
            session.commit()
    finally:
        _open.depth = 0


def _refuse_second() -> None:
    if getattr(_open, "depth", 0):
        raise RuntimeError("a Unit is already open in this thread")


def _watch(unit: Unit) -> None:
    @sa.event.listens_for(unit.session, "before_flush")
    def flushing(session: AnySession, _context: Any, _instances: Any) -> None:
        for row in [*session.new, *session.dirty, *session.deleted]:
            if not isinstance(row, Mechanism | Entry):
                unit.footprints.found(row)

    @sa.event.listens_for(unit.session, "after_flush")
    def flushed(session: AnySession, _context: Any) -> None:
        changed = [*session.new, *session.dirty, *session.deleted]
        if any(not isinstance(row, Mechanism | Entry) for row in changed):
            unit.unexplained = True
        if any(isinstance(row, Entry) and row.seq is not None and row not in session.new for row in changed):
            unit.unexplained = unit.actor != "system:journal"  # only the sealer touches entries

    @sa.event.listens_for(unit.session, "do_orm_execute")
    def executed(state: ORMExecuteState) -> None:
        if state.is_insert or state.is_update or state.is_delete:
            unit.unexplained = True
