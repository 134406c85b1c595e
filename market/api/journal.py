"""The journal for those who audit: search, export, verify."""

from collections.abc import Iterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from market.api.orders import EntryView
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
    """流水导出 · Every sealed entry as NDJSON, for `shugang verify journal FILE` on any machine."""

    def lines() -> Iterator[bytes]:
        for row in journal.sealed_rows(house.store):
            yield orjson.dumps(row) + b"\n"

    return StreamingResponse(
        lines(),
        media_type="application/x-ndjson",
        headers={"Content-Disposition": 'attachment; filename="journal.ndjson"'},
    )
