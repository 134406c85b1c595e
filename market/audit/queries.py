"""Reads of the journal for people who may."""

from datetime import datetime

from sqlmodel import col, select

from storage.journal import Entry
from storage.unit import View


def history(view: View, subject: str, limit: int = 200) -> list[Entry]:
    """全程留痕. What happened to one thing (`order:ord_…`), oldest first."""
    query = select(Entry).where(Entry.subject == subject).order_by(col(Entry.at), col(Entry.id)).limit(limit)
    return list(view.session.exec(query))


def entries(
    view: View,
    *,
    kind: str | None = None,
    actor: str | None = None,
    since: datetime | None = None,
    before_seq: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """流水查询. Sealed entries, newest first; `before_seq` pages backwards."""
    query = select(Entry).where(col(Entry.seq).is_not(None))
    if kind:
        query = query.where(col(Entry.kind).startswith(kind, autoescape=True))
    if actor:
        query = query.where(Entry.actor == actor)
    if since:
        query = query.where(col(Entry.at) >= since)
    if before_seq:
        query = query.where(col(Entry.seq) < before_seq)
    return list(view.session.exec(query.order_by(col(Entry.seq).desc()).limit(limit)))
