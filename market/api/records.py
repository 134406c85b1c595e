"""Retention and erasure: terms by kind of record, legal holds, and forgetting a person on request."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from market import records
from market.api.orders import Reason
from market.audit.queries import holds as all_holds
from market.audit.rules import TERMS, RecordKind
from market.http.who import HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from storage.unit import Unit

router = APIRouter(prefix="/records", tags=["records"])
READ = allow(Permission.JOURNAL_READ, Permission.RECORD_HOLD, Permission.USER_KEEP)
HOLD = allow(Permission.RECORD_HOLD)
KEEP = allow(Permission.USER_KEEP)


class TermView(BaseModel):
    kind: RecordKind
    words: dict[str, str]
    least_months: int
    months: int
    law: dict[str, str]
    purged: bool


class HoldForm(BaseModel, extra="forbid"):
    subject: str = Field(min_length=3, max_length=80, description="user:usr_…, party:pty_… or records:access")
    reason: str = Field(min_length=4, max_length=500)


class HoldView(BaseModel, from_attributes=True):
    id: str
    subject: str
    reason: str
    by: str
    placed_at: datetime
    lifted_at: datetime | None
    lifted_by: str | None


class KeptView(BaseModel):
    kind: RecordKind
    count: int
    months: int
    law: dict[str, str]


class ErasedView(BaseModel):
    person: str
    memberships: int
    mails: int
    credentials: int
    kept: list[KeptView] = Field(description="What the law keeps; under a number, without a name")


@router.get("/terms", dependencies=[READ])
def terms() -> list[TermView]:
    """保存期限 · How long which record is kept, at least and by default."""
    return [
        TermView(
            kind=kind,
            words=kind.words.both(),
            least_months=term.least_months,
            months=term.months,
            law=term.law.both(),
            purged=term.purged,
        )
        for kind, term in TERMS.items()
    ]


@router.get("/holds", dependencies=[READ])
def holds(house: HouseDep) -> list[HoldView]:
    """法律保全 · The holds in force, newest first."""
    with house.store.view() as view:
        return [HoldView.model_validate(row) for row in all_holds(view)]


@router.post("/holds", status_code=201, dependencies=[HOLD])
def place_hold(work: Work, body: HoldForm) -> HoldView:
    """法律保全 · Keep everything of a subject until it is lifted."""
    return work.once(
        HoldView,
        lambda unit: HoldView.model_validate(
            records.place_hold(unit, work.actor, subject=body.subject, reason=body.reason)
        ),
    )


@router.post("/holds/{hold_id}/end", dependencies=[HOLD])
def lift_hold(work: Work, hold_id: str, body: Reason) -> HoldView:
    """解除保全 · Terms run again."""
    return work.once(
        HoldView,
        lambda unit: HoldView.model_validate(
            records.lift_hold(unit, work.actor, hold_id, reason=body.reason)
        ),
    )


@router.post("/people/{user_id}/erasure", dependencies=[KEEP])
def erase_person(work: Work, user_id: str, body: Reason) -> ErasedView:
    """删除个人信息 · Forget a person on request; says what went and what the law keeps."""

    def act(unit: Unit) -> ErasedView:
        gone = records.erase_person(unit, work.actor, user_id, reason=body.reason)
        return ErasedView(
            person=gone.person,
            memberships=gone.memberships,
            mails=gone.mails,
            credentials=gone.credentials,
            kept=[
                KeptView(
                    kind=each.kind,
                    count=each.count,
                    months=TERMS[each.kind].months,
                    law=TERMS[each.kind].law.both(),
                )
                for each in gone.kept
            ],
        )

    return work.once(ErasedView, act)


class Gone(BaseModel):
    party: str


@router.post("/parties/{party_id}/erasure", dependencies=[KEEP])
def erase_party(work: Work, party_id: str, body: Reason) -> Gone:
    """删除自然人主体 · Refused, with the moment and the law, while the term of a deal runs."""

    def act(unit: Unit) -> Gone:
        records.erase_party(unit, work.actor, party_id, reason=body.reason)
        return Gone(party=party_id)

    return work.once(Gone, act)
