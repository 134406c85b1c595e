"""The two lists: published for everybody with versions and differences; edited by two people of two roles."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from market.lists import actions, queries
from market.lists.matching import Declared
from market.lists.rules import Change, ChangeKind, EditState, Entry, ListKind
from market.lists.tables import ListEdit, ListEntry
from market.policy.inputs import DataGrade, OpenAttr, PersonalInfo, SourceKind, SupplyKind
from storage.unit import Unit

router = APIRouter(prefix="/lists", tags=["lists"])
EDIT = allow(Permission.LIST_EDIT)
READ_EDITS = allow(Permission.LIST_EDIT, Permission.JOURNAL_READ)


class VersionView(BaseModel, from_attributes=True):
    number: int
    entries: int
    sha256: str
    published_at: datetime


class EntryView(BaseModel):
    code: str
    revision: int
    since_version: int
    until_version: int | None
    in_force: bool
    entry: Entry


class ListView(BaseModel):
    kind: ListKind
    version: VersionView | None
    entries: list[EntryView]


class DifferenceView(BaseModel, from_attributes=True):
    kind: ChangeKind
    code: str
    fields: list[str]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class EditForm(BaseModel, extra="forbid"):
    kind: ListKind
    summary: str = Field(max_length=500, description="修订理由 why the list is edited")
    changes: list[Change] = Field(min_length=1, max_length=200)


class EditView(BaseModel, from_attributes=True):
    id: str
    kind: ListKind
    state: EditState
    summary: str
    based_on: int
    proposed_by: str
    proposed_org: str
    proposed_at: datetime
    case_id: str | None
    version: int | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str
    changes: list[dict[str, Any]]


class FactsForm(BaseModel, extra="forbid"):
    """What one would declare of data, to ask the negative list before registering anything."""

    texts: list[Annotated[str, Field(max_length=4000)]] = Field(default=[], max_length=20)
    category: str = Field("", max_length=200)
    industry: str = Field("", max_length=10)
    fields: list[Annotated[str, Field(max_length=200)]] = Field(default=[], max_length=2000)
    codes: list[Annotated[str, Field(max_length=200)]] = Field(default=[], max_length=20)
    grade: DataGrade | None = None
    source: SourceKind | None = None
    supply: SupplyKind | None = None
    open_attr: OpenAttr | None = None
    personal: PersonalInfo | None = None
    has_basis: bool = False


class HitView(BaseModel):
    code: str
    why: dict[str, str]
    bar: str
    matched: list[tuple[str, str]]


def _shown(row: ListEntry, day: date) -> EntryView:
    entry = row.entry()
    return EntryView(
        code=row.code,
        revision=row.revision,
        since_version=row.since_version,
        until_version=row.until_version,
        in_force=row.until_version is None and entry.holds_on(day),
        entry=entry,
    )


@router.get("/edits", dependencies=[READ_EDITS])
def edits(
    house: HouseDep, actor: ActorDep, before: Annotated[str | None, Query(max_length=40)] = None
) -> list[EditView]:
    """清单修订 · Proposed and decided edits of both lists, newest first."""
    with house.store.view() as view:
        return [EditView.model_validate(row) for row in queries.edits(view, actor, before=before)]


@router.post("/edits", status_code=201, dependencies=[EDIT])
def propose(work: Work, body: EditForm) -> EditView:
    """提出修订 · Add, revise or remove entries; somebody in another role of another organization decides."""

    def act(unit: Unit) -> EditView:
        edit: ListEdit = actions.propose_edit(
            unit, work.actor, kind=body.kind, changes=body.changes, summary=body.summary
        )
        return EditView.model_validate(edit)

    return work.once(EditView, act)


@router.get("/edits/{edit_id}", dependencies=[READ_EDITS])
def edit(house: HouseDep, actor: ActorDep, edit_id: str) -> EditView:
    """一次修订 · One edit with its changes; the decision is taken at /cases/{case_id}/decision."""
    with house.store.view() as view:
        return EditView.model_validate(queries.edit(view, actor, edit_id))


@router.delete("/edits/{edit_id}", status_code=204, dependencies=[EDIT])
def withdraw(work: Work, edit_id: str) -> None:
    """撤回修订 · Take an undecided edit of your organization back."""
    with work.unit() as unit:
        actions.withdraw_edit(unit, work.actor, edit_id)


@router.post("/negative/hits")
def ask(house: HouseDep, body: FactsForm) -> list[HitView]:
    """自查 · What of the negative list would catch data declared like this, and why. Keeps nothing."""
    plain = body.model_dump()
    declared = Declared(
        **plain | {name: tuple(plain[name]) for name in ("texts", "fields", "codes")}, delivery=frozenset()
    )
    with house.store.view() as view:
        found = queries.negative_hits(view, declared)
    return [
        HitView(
            code=hit.rule.code,
            why=hit.why.both(),
            bar=str(hit.rule.entry.bar),
            matched=[(test, value) for test, value in hit.matched],
        )
        for hit in found
    ]


@router.get("/{kind}")
def published(
    house: HouseDep, kind: ListKind, version: Annotated[int | None, Query(ge=1, le=10**6)] = None
) -> ListView:
    """清单 · The open or the negative list as published: now, or one version of it. No account needed."""
    with house.store.view() as view:
        number = version or queries.newest(view, kind)
        row = queries.version(view, kind, number) if number else None
        day = queries.today()
        entries = [_shown(each, day) for each in queries.entries(view, kind, version)]
        shown = VersionView.model_validate(row) if row is not None else None
    return ListView(kind=kind, version=shown, entries=entries)


@router.get("/{kind}/versions")
def versions(house: HouseDep, kind: ListKind) -> list[VersionView]:
    """版本史 · Every published version, newest first. No account needed."""
    with house.store.view() as view:
        return [VersionView.model_validate(row) for row in queries.versions(view, kind)]


@router.get("/{kind}/difference")
def difference(
    house: HouseDep,
    kind: ListKind,
    before: Annotated[int, Query(ge=0, le=10**6)],
    after: Annotated[int, Query(ge=0, le=10**6)],
) -> list[DifferenceView]:
    """版本差异 · What was added, revised and removed between two versions; 0 is the empty list."""
    with house.store.view() as view:
        return [DifferenceView.model_validate(each) for each in queries.difference(view, kind, before, after)]


@router.get("/{kind}/entries/{code}")
def entry(house: HouseDep, kind: ListKind, code: str) -> list[EntryView]:
    """条目沿革 · Every revision of one entry, oldest first. No account needed."""
    with house.store.view() as view:
        rows = [row for row in queries.history(view, code) if row.kind is kind]
        return [_shown(row, queries.today()) for row in rows]
