"""反应 What follows from a sealed entry: each reaction reads the journal at its own pace, in order.

A reaction changes things inside the very Unit that moves its cursor, so twice is once. An errand
is slow work (mail, PDF, a child process): it runs outside any Unit, at least once, and must not
mind being run again. A failing one waits, doubling; after eight failures the entry is parked,
which is itself an entry, so that one bad entry never stops those behind it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

import structlog
from sqlmodel import col, select

from storage.journal import Cursor, Entry
from storage.kernel import clock
from storage.unit import Store, Unit

C = TypeVar("C")
MAX_FAILURES = 8
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reaction:
    """A change that follows from entries of some kinds."""

    name: str
    kinds: frozenset[str]
    act: Callable[[Unit, Entry], None]


@dataclass(frozen=True, slots=True)
class Errand(Generic[C]):
    """Slow work that follows from entries of some kinds; gets whatever context the house passes."""

    name: str
    kinds: frozenset[str]
    run: Callable[[C, Entry], None]


def dispatch(store: Store, effects: Iterable[Reaction | Errand[C]], context: C) -> int:
    """Run everything that is due. Returns how many entries were taken in all."""
    return sum(_catch_up(store, effect, context) for effect in effects)


def _catch_up(store: Store, effect: Reaction | Errand[C], context: C) -> int:
    taken = 0
    while (entry := _next(store, effect)) is not None:
        try:
            _take(store, effect, entry, context)
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not stop the other reactions
            log.warning("reaction failed", reaction=effect.name, entry=entry.id, error=repr(error))
            _postpone(store, effect.name, entry)
            return taken
        taken += 1
    return taken


def _next(store: Store, effect: Reaction | Errand[Any]) -> Entry | None:
    with store.view() as view:
        cursor = view.session.get(Cursor, effect.name)
        if cursor and cursor.retry_at and cursor.retry_at > clock.now():
            return None
        return view.session.exec(
            select(Entry)
            .where(col(Entry.seq) > (cursor.seq if cursor else 0), col(Entry.kind).in_(effect.kinds))
            .order_by(col(Entry.seq))
            .limit(1)
        ).first()


def _take(store: Store, effect: Reaction | Errand[C], entry: Entry, context: C) -> None:
    if isinstance(effect, Errand):
        effect.run(context, entry)
    with store.unit(f"system:{effect.name}") as unit:
        cursor = _cursor(unit, effect.name)
        if entry.seq is None or cursor.seq >= entry.seq:
            return  # another process took it in the meantime
        if isinstance(effect, Reaction):
            effect.act(unit, entry)
        cursor.seq, cursor.failures, cursor.retry_at = entry.seq, 0, None


def _cursor(unit: Unit, name: str) -> Cursor:
    cursor = unit.session.get(Cursor, name, with_for_update=True)
    if cursor is None:
        cursor = Cursor(name=name)
        unit.session.add(cursor)
        unit.session.flush()
    return cursor


def _postpone(store: Store, name: str, entry: Entry) -> None:
    with store.unit(f"system:{name}") as unit:
        cursor = _cursor(unit, name)
        cursor.failures += 1
        cursor.retry_at = clock.now() + timedelta(seconds=2**cursor.failures)
        if cursor.failures >= MAX_FAILURES and entry.seq is not None:
            unit.record("reaction.parked", f"entry:{entry.id}", reaction=name)
            cursor.seq, cursor.failures, cursor.retry_at = entry.seq, 0, None


def lag(store: Store, effects: Iterable[Reaction | Errand[Any]]) -> dict[str, int]:
    """How many sealed entries each reaction has still to take, and how many wait for the seal."""
    with store.view() as view:
        waiting = view.session.exec(select(Entry.id).where(col(Entry.seq).is_(None)).limit(10_000)).all()
        out = {"unsealed": len(waiting)}
        for effect in effects:
            cursor = view.session.get(Cursor, effect.name)
            behind = select(Entry.id).where(
                col(Entry.seq) > (cursor.seq if cursor else 0), col(Entry.kind).in_(effect.kinds)
            )
            out[effect.name] = len(view.session.exec(behind.limit(10_000)).all())
    return out
