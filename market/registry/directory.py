"""资源目录 The whole inventory of departments, systems and resources: brought in by file, kept by registration."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from market.identity.problems import Forbidden
from market.identity.queries import party
from market.identity.rules import Actor, Permission
from market.registry.directory_rows import Row, read_row
from market.registry.tables import Asset, DirectoryEntry, DirectoryImport
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.words import Worded
from storage.unit import Store, Unit, View

BATCH = 1000  # rows of one Unit: a killed import has kept whole batches, and running it again is safe
KEPT_REFUSALS = 500


class Outcome(Worded):
    """导入结果. What became of one row."""

    CREATED = "created", "新增", "Created"
    UPDATED = "updated", "更新", "Updated"
    UNCHANGED = "unchanged", "未变", "Unchanged"
    REFUSED = "refused", "拒绝", "Refused"


@dataclass(frozen=True, slots=True)
class RowReport:
    """One row of the file: its number, its resource code, what became of it, and why not."""

    row: int
    code: str
    outcome: Outcome
    errors: tuple[dict[str, Any], ...] = ()

    def document(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"row": self.row, "code": self.code, "outcome": str(self.outcome), "errors": list(self.errors)}


@dataclass(slots=True)
class ImportReport:
    """导入报告. Every row in the order of the file, and how many of each kind."""

    id: str
    rows: list[RowReport] = field(default_factory=list)

    def count(self, outcome: Outcome) -> int:
        return sum(row.outcome is outcome for row in self.rows)

    def counts(self) -> dict[str, int]:
        """Rows in all and by outcome."""
        return {"rows": len(self.rows)} | {str(kind): self.count(kind) for kind in Outcome}

    @property
    def refused(self) -> list[RowReport]:
        return [row for row in self.rows if row.outcome is Outcome.REFUSED]


def import_directory(
    store: Store,
    actor: Actor,
    rows: Iterable[tuple[int, dict[str, Any]]],
    *,
    name: str,
    sha256: str,
    step: Callable[[int], None] = lambda _done: None,
) -> ImportReport:
    """导入目录. Bring in rows by provider code and resource code; one bad row never loses the others.

    Whoever keeps the directory brings in everybody's; a department its own. rows: from `rows_of`.
    step: told after each batch how many rows are done. The same file again changes nothing.
    Raises Forbidden.
    """
    with store.view() as view:
        own_code = _own_code(view, actor)
    with store.unit(actor.id, actor.org) as unit:
        begun = DirectoryImport(
            id=new_id("imp"),
            name=name[:200],
            sha256=sha256,
            asked_by=actor.id,
            org_id=actor.org,
            began_at=clock.now(),
            refusals=[],
        )
        unit.session.add(begun)
        unit.record("directory.import_begun", f"import:{begun.id}", sha256=sha256)
    report = ImportReport(begun.id)
    for batch in _batches(rows):
        read = [(number, *_read(fields, own_code), fields) for number, fields in batch]
        with store.unit(actor.id, actor.org) as unit:
            done = _bring_in(unit, read)
            counts = {str(kind): sum(row.outcome is kind for row in done) for kind in Outcome}
            unit.record("directory.rows_imported", f"import:{begun.id}", rows=len(done), **counts)
        report.rows += done
        step(len(report.rows))
    with store.unit(actor.id, actor.org) as unit:
        kept = unit.session.get_one(DirectoryImport, begun.id)
        for count, number in report.counts().items():
            setattr(kept, count, number)
        kept.refusals = [row.document() for row in report.refused[:KEPT_REFUSALS]]
        kept.ended_at = clock.now()
        unit.session.add(kept)
        unit.record("directory.imported", f"import:{begun.id}", **report.counts())
    return report


def keep_entry(unit: Unit, asset: Asset) -> None:
    """登记入目录. What is registered is in the directory, whoever had brought it in before."""
    assert asset.share_type is not None
    assert asset.open_attr is not None
    row = Row.model_construct(
        **{
            name: getattr(asset, name)
            for name in Row.model_fields
            if name not in {"items", "abstract", "share_condition", "open_condition"}
        },
        abstract=asset.abstract_zh,
        items=[item["name"] for item in asset.items],
        share_condition=asset.share_condition,
        open_condition=asset.open_condition,
    )
    _upsert(unit, [(row, row.digest())])


def _own_code(view: View, actor: Actor) -> str | None:
    """Whose resources the actor may bring in: None for everybody's. Raises Forbidden."""
    if actor.may(Permission.DIRECTORY_KEEP):
        return None
    actor.require(Permission.ASSET_DRAFT)
    if not actor.party_verified:
        raise Forbidden
    return party(view, actor.own_org).id_number


def _read(fields: dict[str, Any], own_code: str | None) -> tuple[Row | None, list[dict[str, Any]]]:
    row, faults = read_row(fields)
    if row is not None and own_code is not None and row.provider_code != own_code:
        message = {
            "zh": "只能导入本单位的资源。",
            "en": "You may bring in your own organization's resources only.",
        }
        return None, [{"field": "provider_code", "rule": "directory.own", "message": message}]
    return row, faults


def _batches(
    rows: Iterable[tuple[int, dict[str, Any]]],
) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    waiting = iter(rows)
    while batch := list(islice(waiting, BATCH)):
        yield batch


def _bring_in(
    unit: Unit, read: list[tuple[int, Row | None, list[dict[str, Any]], dict[str, Any]]]
) -> list[RowReport]:
    known = _known(unit, [row for _number, row, _faults, _fields in read if row is not None])
    wanted: dict[tuple[str, str], tuple[Row, str]] = {}
    done = []
    for number, row, faults, fields in read:
        if row is None:
            done.append(RowReport(number, _shown(fields.get("code")), Outcome.REFUSED, tuple(faults)))
            continue
        key, now = (row.provider_code, row.code), row.digest()
        before = known.get(key)
        outcome = (
            Outcome.CREATED if before is None else Outcome.UNCHANGED if before == now else Outcome.UPDATED
        )
        if outcome is not Outcome.UNCHANGED:
            known[key], wanted[key] = now, (row, now)  # the same code twice in a file: the last one is meant
        done.append(RowReport(number, row.code, outcome))
    _upsert(unit, list(wanted.values()))
    return done


def _known(unit: Unit, rows: list[Row]) -> dict[tuple[str, str], str]:
    query = select(DirectoryEntry.provider_code, DirectoryEntry.code, DirectoryEntry.digest).where(
        col(DirectoryEntry.provider_code).in_({row.provider_code for row in rows}),
        col(DirectoryEntry.code).in_({row.code for row in rows}),
    )
    return {(provider, code): digest for provider, code, digest in unit.session.exec(query)}


def _upsert(unit: Unit, rows: list[tuple[Row, str]]) -> None:
    """Write rows, each with its digest, by (provider code, resource code); two imports at once leave one entry of each."""
    if not rows:
        return
    now = clock.now()
    values = [
        row.model_dump() | {"id": new_id("ent"), "digest": digest, "created_at": now, "changed_at": now}
        for row, digest in rows
    ]
    insert = sqlite.insert if unit.session.get_bind().dialect.name == "sqlite" else postgresql.insert
    fresh = insert(DirectoryEntry)
    kept = {name: fresh.excluded[name] for name in (*Row.model_fields, "digest", "changed_at")}
    unit.session.execute(
        fresh.on_conflict_do_update(index_elements=["provider_code", "code"], set_=kept), values
    )


def imports(view: View, actor: Actor, *, limit: int = 20) -> list[DirectoryImport]:
    """导入记录. The imports of the actor's organization, newest first; the directory's keeper sees all."""
    query = select(DirectoryImport).order_by(sa.desc(col(DirectoryImport.id))).limit(limit)
    if not actor.may(Permission.DIRECTORY_KEEP):
        query = query.where(DirectoryImport.org_id == actor.own_org)
    return list(view.session.exec(query))


def _shown(code: object) -> str:
    """A code as a report can keep it: PostgreSQL refuses the null character in text."""
    return str(code or "").replace("\0", "\N{REPLACEMENT CHARACTER}")[:64]
