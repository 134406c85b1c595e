"""Read the lists: entries now or in any version, differences, edits, and what the negative list catches."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select

from market.identity.rules import Actor, Permission
from market.lists.matching import Declared, Hit, Rule, hits, plain
from market.lists.rules import ZONE, Difference, ListKind, differences
from market.lists.tables import ListEdit, ListEntry, ListVersion
from storage.kernel import clock
from storage.kernel.problem import NotFound
from storage.unit import View


def today(at: datetime | None = None) -> date:
    """The day of the lists' civil calendar."""
    return (at or clock.now()).astimezone(ZONE).date()


def versions(view: View, kind: ListKind) -> Sequence[ListVersion]:
    """版本史. Every published version of a list, newest first."""
    query = select(ListVersion).where(ListVersion.kind == kind).order_by(sa.desc(col(ListVersion.number)))
    return view.session.exec(query).all()


def version(view: View, kind: ListKind, number: int) -> ListVersion:
    """One published version. Raises NotFound."""
    found = view.session.get(ListVersion, (kind, number))
    if found is None:
        raise NotFound(list=str(kind), version=number)
    return found


def newest(view: View, kind: ListKind) -> int:
    """The number of the version in force; 0 before the first."""
    return (
        view.session.exec(select(sa.func.max(ListVersion.number)).where(ListVersion.kind == kind)).one() or 0
    )


def entries(view: View, kind: ListKind, number: int | None = None) -> Sequence[ListEntry]:
    """条目. What stands on a list, in order of code: now, or in one version. Raises NotFound for none such."""
    query = select(ListEntry).where(ListEntry.kind == kind).order_by(col(ListEntry.code))
    if number is None:
        return view.session.exec(query.where(col(ListEntry.until_version).is_(None))).all()
    version(view, kind, number)
    alive = sa.or_(col(ListEntry.until_version).is_(None), col(ListEntry.until_version) > number)
    return view.session.exec(query.where(col(ListEntry.since_version) <= number, alive)).all()


def history(view: View, code: str) -> Sequence[ListEntry]:
    """条目沿革. Every revision of one entry, oldest first. Raises NotFound."""
    query = select(ListEntry).where(ListEntry.code == code).order_by(col(ListEntry.revision))
    found = view.session.exec(query).all()
    if not found:
        raise NotFound(entry=code)
    return found


def difference(view: View, kind: ListKind, before: int, after: int) -> list[Difference]:
    """版本差异. What changed between two versions; version 0 is the empty list. Raises NotFound."""
    return differences(_by_code(view, kind, before), _by_code(view, kind, after))


def _by_code(view: View, kind: ListKind, number: int) -> dict[str, dict[str, Any]]:
    return {row.code: row.content for row in entries(view, kind, number)} if number else {}


def negative_rules(view: View) -> list[Rule]:
    """The rules of the negative list as published, whatever their dates."""
    return [row.rule() for row in entries(view, ListKind.NEGATIVE)]


def negative_hits(view: View, declared: Declared, at: datetime | None = None) -> list[Hit]:
    """负面清单命中. Every rule in force that catches what is declared, each with what matched and why."""
    return hits(negative_rules(view), declared, today(at))


def sweep_due(view: View, at: datetime | None = None) -> bool:
    """Whether a day began, or a version was published, since listed products were compared with the rules."""
    number = newest(view, ListKind.NEGATIVE)
    return bool(number) and version(view, ListKind.NEGATIVE, number).swept_on != today(at)


def open_entry(view: View, *resources: str, at: datetime | None = None) -> ListEntry | None:
    """开放清单条目. The entry in force that opens a resource, by any of its code, number or slug."""
    known = {plain(name) for name in resources if name}
    day = today(at)
    return next(
        (
            row
            for row in entries(view, ListKind.OPEN)
            if plain(row.resource) in known and row.entry().holds_on(day)
        ),
        None,
    )


def due_for_review(view: View, at: datetime | None = None) -> list[ListEntry]:
    """待复审. Entries of both lists whose review date has come, the longest overdue first."""
    day = today(at)
    rows = [row for kind in ListKind for row in entries(view, kind)]
    late = [(row.entry().review_on or day, row.code, row) for row in rows]
    return [row for review, _code, row in sorted(late, key=lambda each: each[:2]) if review <= day]


def edit(view: View, actor: Actor, edit_id: str) -> ListEdit:
    """One edit, for those who edit or audit lists. Raises NotFound for everybody else."""
    found = view.session.get(ListEdit, edit_id)
    if found is None or not _reader(actor):
        raise NotFound(edit=edit_id)
    return found


def edits(view: View, actor: Actor, *, before: str | None = None, limit: int = 50) -> Sequence[ListEdit]:
    """修订. Proposed and decided edits, newest first, for those who edit or audit lists. Raises Forbidden."""
    if not _reader(actor):
        actor.require(Permission.LIST_EDIT)
    query = select(ListEdit).order_by(sa.desc(col(ListEdit.id)))
    if before is not None:
        query = query.where(ListEdit.id < before)
    return view.session.exec(query.limit(limit)).all()


def edit_of_case(view: View, case_id: str) -> ListEdit:
    """What an approval case is about. Raises NotFound."""
    found = view.session.exec(select(ListEdit).where(ListEdit.case_id == case_id)).first()
    if found is None:
        raise NotFound(case=case_id)
    return found


def _reader(actor: Actor) -> bool:
    return actor.may(Permission.LIST_EDIT) or actor.may(Permission.JOURNAL_READ)
