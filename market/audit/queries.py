"""Reads of the journal for people who may."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

import orjson
from joserfc.jwk import OKPKey
from sqlmodel import col, select

from market.audit.heads import digest_of, is_signed
from market.audit.tables import LegalHold, SignedHead
from storage import journal
from storage.journal import Entry
from storage.unit import Store, View


def signed_heads(view: View, limit: int | None = None) -> Sequence[SignedHead]:
    """每日链尾. Every signed head, oldest first; with `limit` only the last ones."""
    query = select(SignedHead).order_by(col(SignedHead.day).desc())
    rows = view.session.exec(query.limit(limit) if limit else query).all()
    return list(reversed(rows))


def broken_head(view: View, keys: Mapping[str, OKPKey]) -> tuple[str, str] | None:
    """The first stored head that does not hold, with the reason: its place in the chain, its signature, its order."""
    previous = journal.GENESIS
    for row in signed_heads(view):
        at = view.session.exec(select(Entry.hash).where(Entry.seq == row.seq)).first()
        if row.document.get("previous") != previous:
            return row.day, "it does not follow the head before it"
        if row.seq and not at == row.hash == row.document.get("hash"):
            return row.day, f"the chain does not run through it at seq {row.seq}"
        if not is_signed(row.document, keys):
            return row.day, "no key of the house signed it"
        previous = digest_of(row.document)
    return None


def export(store: Store) -> Iterator[bytes]:
    """流水导出. Every signed head as a line of JSON, then every sealed entry; for `shugang verify journal FILE`."""
    with store.view() as view:  # what they speak of is sealed already
        heads = [row.document for row in signed_heads(view)]
    for head in heads:
        yield orjson.dumps({"head": head}) + b"\n"
    for row in journal.sealed_rows(store):
        yield orjson.dumps(row) + b"\n"


def histories(view: View, subjects: Collection[str], limit: int = 1000) -> list[Entry]:
    """全程留痕. What happened to several things that belong together, in one order, oldest first."""
    query = select(Entry).where(col(Entry.subject).in_(subjects)).order_by(col(Entry.at), col(Entry.id))
    return list(view.session.exec(query.limit(limit)))


def holds(view: View, *, in_force: bool = True) -> Sequence[LegalHold]:
    """法律保全. The holds in force, or all of them, newest first."""
    query = select(LegalHold).order_by(col(LegalHold.id).desc())
    return view.session.exec(query.where(col(LegalHold.lifted_at).is_(None)) if in_force else query).all()


def is_held(view: View, *subjects: str) -> LegalHold | None:
    """The hold in force on any of these subjects."""
    query = select(LegalHold).where(col(LegalHold.lifted_at).is_(None), col(LegalHold.subject).in_(subjects))
    return view.session.exec(query).first()


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
