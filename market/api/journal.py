"""The journal for those who audit: search, export, verify."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from market.api.orders import EntryView
from market.audit import queries
from market.audit.queries import entries
from market.http.who import HouseDep, allow
from market.identity.rules import Permission
from storage import journal

router = APIRouter(prefix="/journal", tags=["journal"])
READ = allow(Permission.JOURNAL_READ)


class VerdictView(BaseModel):
    ok: bool
    entries: int
    head: str
    broken_at: int | None
    entry: str | None
    reason: str | None


@router.get("", dependencies=[READ])
def search(
    house: HouseDep,
    kind: Annotated[str | None, Query(max_length=60)] = None,
    actor: Annotated[str | None, Query(max_length=60)] = None,
    before_seq: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[EntryView]:
    """流水查询 · Sealed entries, newest first."""
    with house.store.view() as view:
        found = entries(view, kind=kind, actor=actor, before_seq=before_seq, limit=limit)
        return [EntryView.model_validate(entry) for entry in found]


@router.get("/verification", dependencies=[READ])
def verification(house: HouseDep) -> VerdictView:
    """流水核验 · Whether the whole chain holds; names the first entry that does not."""
    verdict = journal.verify_stored(house.store)
    return VerdictView(
        ok=verdict.ok,
        entries=verdict.entries,
        head=verdict.head,
        broken_at=verdict.broken_at,
        entry=verdict.entry,
        reason=verdict.reason,
    )


@router.get("/export", dependencies=[READ], response_class=StreamingResponse)
def export(house: HouseDep) -> StreamingResponse:
    """流水导出 · Every sealed entry and signed head as NDJSON, for `shugang verify journal FILE` on any machine."""
    return StreamingResponse(
        queries.export(house.store),
        media_type="application/x-ndjson",
        headers={"Content-Disposition": 'attachment; filename="journal.ndjson"'},
    )


class HeadView(BaseModel):
    day: str
    seq: int
    hash: str
    document: dict[str, Any] = Field(description="Signed; check it with the public document keys")


@router.get("/heads", dependencies=[READ])
def heads(house: HouseDep, limit: Annotated[int, Query(ge=1, le=400)] = 31) -> list[HeadView]:
    """每日链尾 · Signed heads, oldest first, to be kept outside: nothing before one can change unseen."""
    with house.store.view() as view:
        return [
            HeadView.model_validate(row, from_attributes=True) for row in queries.signed_heads(view, limit)
        ]
