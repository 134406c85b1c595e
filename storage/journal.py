"""流水 The append-only journal: audit trail, outbox and 全程留痕 in one table, sealed in the background.

Entries are inserted without order. One sealer at a time gives them `seq` and a hash chain; whoever
reacts reads sealed entries only, so that a late commit can never be skipped.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel, col, select

from storage.columns import Big, Mechanism, json_field
from storage.kernel.canonical import digest

if TYPE_CHECKING:
    from storage.unit import Store

GENESIS = "0" * 64
SEAL_BATCH = 500


class Entry(SQLModel, table=True):
    """流水. One thing that happened: who did what to which thing, when, and why.

    `data` holds ids, hashes, codes, numbers and reasons; never a name, a phone or content, so that
    a person can be erased while the chain still verifies.
    """

    __tablename__ = "journal_entry"

    id: str = Field(primary_key=True)
    at: datetime
    kind: str = Field(index=True)  # "license.revoked"
    subject: str = Field(index=True)  # "license:lic_…"
    actor: str  # "usr_…", "cli_…" or "system:…"
    org: str | None = None  # the party the actor acted for
    role: str | None = None  # the actor's roles there at this moment, "approver+compliance"
    before: str | None = (
        None  # SHA-256 over the subject's row as the Unit found it; never of personal columns
    )
    after: str | None = None  # and as the Unit left it
    data: dict[str, Any] = json_field()
    seq: int | None = Field(default=None, sa_type=Big, unique=True)
    hash: str | None = None

    def content(self) -> dict[str, Any]:
        """What the hash covers, besides the hash before it."""
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "kind": self.kind,
            "subject": self.subject,
            "actor": self.actor,
            "org": self.org,
            "role": self.role,
            "before": self.before,
            "after": self.after,
            "data": self.data,
            "seq": self.seq,
        }


class JournalHead(Mechanism, table=True):
    """封存 The last sealed entry; its row is the sealer's lock."""

    __tablename__ = "journal_head"

    id: int = Field(default=1, primary_key=True)
    seq: int = Field(default=0, sa_type=Big)
    hash: str = GENESIS


class Cursor(Mechanism, table=True):
    """How far one reaction has read the journal, and how often it failed on the next entry."""

    __tablename__ = "journal_cursor"

    name: str = Field(primary_key=True)
    seq: int = Field(default=0, sa_type=Big)
    failures: int = 0
    retry_at: datetime | None = None


def link(before: str, content: Mapping[str, Any]) -> str:
    """The hash of an entry chained over the one before it."""
    return digest({"before": before, "entry": dict(content)})


def seal(store: "Store") -> int:
    """封存. Give every committed entry its place in the chain. Returns how many were sealed."""
    sealed = 0
    while batch := _seal_batch(store):
        sealed += batch
    return sealed


def _seal_batch(store: "Store") -> int:
    with store.view() as view:
        if view.session.exec(select(Entry.id).where(col(Entry.seq).is_(None)).limit(1)).first() is None:
            return 0
    with store.unit("system:journal") as unit:
        head = unit.session.get(JournalHead, 1, with_for_update=True)
        if head is None:
            head = JournalHead()
            unit.session.add(head)
            unit.session.flush()  # two first sealers at once: one fails on the key and comes again
        waiting = unit.session.exec(
            select(Entry).where(col(Entry.seq).is_(None)).order_by(col(Entry.id)).limit(SEAL_BATCH)
        ).all()
        for entry in waiting:
            entry.seq = head.seq + 1
            entry.hash = link(head.hash, entry.content())
            head.seq, head.hash = entry.seq, entry.hash
        unit.unexplained = False  # sealing explains itself
        return len(waiting)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: how many entries are good, and the first bad one with the reason."""

    entries: int
    head: str
    broken_at: int | None = None
    entry: str | None = None
    reason: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the whole chain holds."""
        return self.broken_at is None


def verify(entries: Iterator[Mapping[str, Any]], head: str | None = None) -> Verdict:
    """Check a chain of `{content…, "hash": …}` rows in order of `seq`; needs no database.

    `head` is the hash the chain must end in; without it a cut tail cannot be noticed.
    """
    before, count = GENESIS, 0
    for row in entries:
        content = {key: value for key, value in row.items() if key != "hash"}
        if content["seq"] != count + 1:
            return Verdict(
                count,
                before,
                count + 1,
                str(content["id"]),
                f"expected seq {count + 1}, found {content['seq']}",
            )
        if link(before, content) != row["hash"]:
            return Verdict(count, before, count + 1, str(content["id"]), "content does not match its hash")
        before, count = row["hash"], count + 1
    if head is not None and head != before:
        return Verdict(count, before, count + 1, None, "entries are missing at the end")
    return Verdict(count, before)


def sealed_rows(store: "Store", after: int = 0) -> Iterator[dict[str, Any]]:
    """Sealed entries in order, as plain rows, a thousand at a time."""
    while True:
        with store.view() as view:
            page = view.session.exec(
                select(Entry).where(col(Entry.seq) > after).order_by(sa.asc(col(Entry.seq))).limit(1000)
            ).all()
            rows = [entry.content() | {"hash": entry.hash} for entry in page]
        yield from rows
        if len(rows) < 1000:
            return
        after = rows[-1]["seq"]


def verify_stored(store: "Store") -> Verdict:
    """Check the chain as it is stored, up to the head of this moment; others may go on sealing."""
    with store.view() as view:
        last = view.session.exec(select(sa.func.max(Entry.seq))).one() or 0
    with store.view() as view:  # after the last entry: a head that is behind it now was always behind it
        head = view.session.get(JournalHead, 1) or JournalHead()
    if last > head.seq:
        return Verdict(head.seq, head.hash, head.seq + 1, None, "entries beyond the head of the chain")
    return verify(takewhile(lambda row: row["seq"] <= head.seq, sealed_rows(store)), head.hash)
