"""What follows the first registration: applications, public notices, objections, certificates."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from market.api.assets import NoticeView, Return
from market.api.orders import Reason
from market.http.body import receive
from market.http.intake import EVIDENCE_BYTES, keep_paper
from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Streamed, Work
from market.identity.rules import Permission
from market.registry import amending, notices, queries
from market.registry.life import AMENDMENT, AmendmentKind, AmendmentState, CancelGround, ObjectionState
from market.registry.rules import Description
from market.registry.tables import Amendment, Objection
from market.trading import registrations
from storage.kernel.problem import NotFound

router = APIRouter(tags=["registrations"])
DRAFT = allow(Permission.ASSET_DRAFT)
REVIEW = allow(Permission.ASSET_REVIEW)
EITHER = allow(Permission.ASSET_DRAFT, Permission.ASSET_REVIEW, Permission.JOURNAL_READ)
SELF = allow(Permission.SELF)
FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class AmendmentForm(BaseModel, extra="forbid"):
    kind: AmendmentKind
    cause: str = Field(max_length=500, description="申请理由 why, 4 to 500 characters")
    changes: Description | None = Field(None, description="变更内容 only the fields that change")
    ground: CancelGround | None = Field(None, description="注销事由 for a cancellation")
    to_party: str | None = Field(None, max_length=40, description="受让方 for a transfer")


class Resubmission(BaseModel, extra="forbid"):
    cause: str = Field(max_length=500)
    changes: Description | None = None


class Answer(BaseModel, extra="forbid"):
    answer: str = Field(max_length=4000)


class AmendmentView(BaseModel, from_attributes=True):
    id: str
    asset_id: str
    kind: AmendmentKind
    state: AmendmentState
    cause: str
    changes: list[dict[str, Any]]
    material: bool
    ground: CancelGround | None
    to_party: str | None
    missing: list[dict[str, Any]]
    reason: str
    asked_at: datetime
    decided_at: datetime | None
    verbs: list[str] = []


class ObjectionView(BaseModel, from_attributes=True):
    id: str
    asset_id: str
    state: ObjectionState
    statement: str
    evidence: list[dict[str, Any]]
    raised_at: datetime
    answer_until: datetime
    answer: str
    reason: str


class CertificateView(BaseModel, from_attributes=True):
    id: str
    asset_id: str
    serial: int
    number: str
    content_hash: str
    issued_at: datetime
    content: dict[str, Any]


def _view(asked: Amendment) -> AmendmentView:
    return AmendmentView.model_validate(asked).model_copy(update={"verbs": AMENDMENT.verbs(asked.state)})


def _objection(row: Objection) -> ObjectionView:
    return ObjectionView.model_validate(row)


@router.post("/assets/{asset_id}/amendments", status_code=201, dependencies=[DRAFT])
def ask(work: Work, asset_id: str, body: AmendmentForm) -> AmendmentView:
    """登记申请 · Ask for a change, a correction, renewal, transfer or cancellation."""
    office = work.house.settings.registry
    return work.once(
        AmendmentView,
        lambda unit: _view(
            amending.ask_amendment(
                unit,
                work.actor,
                asset_id,
                kind=body.kind,
                cause=body.cause,
                office=office,
                changes=body.changes,
                ground=body.ground,
                to_party=body.to_party,
            )
        ),
    )


@router.get("/assets/{asset_id}/amendments", dependencies=[EITHER])
def amendments(house: HouseDep, actor: ActorDep, asset_id: str) -> list[AmendmentView]:
    """申请列表 · What was asked for after the first registration, newest first."""
    with house.store.view() as view:
        return [_view(row) for row in queries.amendments(view, actor, asset_id)]


@router.get("/amendments", dependencies=[EITHER])
def waiting(house: HouseDep, actor: ActorDep) -> list[AmendmentView]:
    """待办申请 · What waits for the registrar, or for your organization to agree."""
    with house.store.view() as view:
        rows = (
            queries.amendment_queue(view, actor)
            if actor.may(Permission.ASSET_REVIEW)
            else queries.offered_to(view, actor)
        )
        return [_view(asked) for asked, _asset in rows]


@router.get("/amendments/{amendment_id}", dependencies=[EITHER])
def amendment(house: HouseDep, actor: ActorDep, amendment_id: str) -> AmendmentView:
    """申请详情 · One application with its field-by-field comparison."""
    with house.store.view() as view:
        return _view(queries.amendment(view, actor, amendment_id)[0])


@router.post("/amendments/{amendment_id}/evidence", dependencies=[DRAFT], openapi_extra=FILE_BODY)
async def prove(request: Request, work: Streamed, amendment_id: str) -> AmendmentView:
    """附加证明 · A document for the application; raw body or multipart."""
    taken = await receive(request, work.house.incoming, EVIDENCE_BYTES)

    def keep() -> AmendmentView:
        stored = keep_paper(work, taken)
        with work.unit() as unit:
            return _view(
                amending.attach_proof(unit, work.actor, amendment_id, stored=stored, name=taken.name)
            )

    try:
        return await run_in_threadpool(keep)
    finally:
        taken.discard()


@router.post("/amendments/{amendment_id}/agreement", dependencies=[DRAFT])
def agree(work: Work, amendment_id: str) -> AmendmentView:
    """同意受让 · The recipient of a transfer agrees."""
    return work.once(
        AmendmentView,
        lambda unit: _view(amending.answer_transfer(unit, work.actor, amendment_id, agree=True)),
    )


@router.post("/amendments/{amendment_id}/refusal", dependencies=[DRAFT])
def decline(work: Work, amendment_id: str) -> AmendmentView:
    """拒绝受让 · The recipient of a transfer declines."""
    return work.once(
        AmendmentView,
        lambda unit: _view(amending.answer_transfer(unit, work.actor, amendment_id, agree=False)),
    )


@router.post("/amendments/{amendment_id}/submission", dependencies=[DRAFT])
def resubmit(work: Work, amendment_id: str, body: Resubmission) -> AmendmentView:
    """补正后提交 · Send a returned application again."""
    return work.once(
        AmendmentView,
        lambda unit: _view(
            amending.resubmit_amendment(
                unit, work.actor, amendment_id, cause=body.cause, changes=body.changes
            )
        ),
    )


@router.post("/amendments/{amendment_id}/withdrawal", dependencies=[DRAFT])
def withdraw(work: Work, amendment_id: str) -> AmendmentView:
    """撤回申请 · Take an application back."""
    return work.once(
        AmendmentView, lambda unit: _view(amending.withdraw_amendment(unit, work.actor, amendment_id))
    )


@router.post("/amendments/{amendment_id}/review", dependencies=[REVIEW])
def review(work: Work, amendment_id: str) -> AmendmentView:
    """受理审核 · Take an application up."""
    return work.once(
        AmendmentView, lambda unit: _view(amending.review_amendment(unit, work.actor, amendment_id))
    )


@router.post("/amendments/{amendment_id}/return", dependencies=[REVIEW])
def send_back(work: Work, amendment_id: str, body: Return) -> AmendmentView:
    """退回补正 · With a list of what is missing."""
    missing = [(item.field, item.note) for item in body.missing]
    return work.once(
        AmendmentView,
        lambda unit: _view(
            amending.return_amendment(unit, work.actor, amendment_id, missing=missing, reason=body.reason)
        ),
    )


@router.post("/amendments/{amendment_id}/notice", dependencies=[REVIEW])
def publish(work: Work, amendment_id: str, body: Reason) -> NoticeView:
    """重大变更公示 · Announce a material change."""
    office = work.house.settings.registry
    return work.once(
        NoticeView,
        lambda unit: NoticeView.model_validate(
            amending.publish_amendment(unit, work.actor, amendment_id, reason=body.reason, office=office)
        ),
    )


@router.post("/amendments/{amendment_id}/application", dependencies=[REVIEW])
def carry_out(work: Work, amendment_id: str, body: Reason) -> AmendmentView:
    """办结 · Carry the application out; listings and licenses follow at once."""
    office = work.house.settings.registry
    return work.once(
        AmendmentView,
        lambda unit: _view(
            registrations.apply_amendment(unit, work.actor, amendment_id, reason=body.reason, office=office)
        ),
    )


@router.post("/amendments/{amendment_id}/rejection", dependencies=[REVIEW])
def reject(work: Work, amendment_id: str, body: Reason) -> AmendmentView:
    """不予办理 · The registration stays as it is."""
    return work.once(
        AmendmentView,
        lambda unit: _view(amending.reject_amendment(unit, work.actor, amendment_id, reason=body.reason)),
    )


@router.get("/notices")
def public_notices(house: HouseDep, over: bool = False) -> list[NoticeView]:
    """公示列表 · What is on public notice; with `over` what was."""
    with house.store.view() as view:
        return [NoticeView.model_validate(row) for row, _asset in queries.notices(view, running=not over)]


@router.get("/notices/{number}")
def public_notice(house: HouseDep, number: str) -> NoticeView:
    """公示 · One notice by its number."""
    with house.store.view() as view:
        return NoticeView.model_validate(queries.notice(view, number)[0])


@router.post("/notices/{number}/objections", status_code=201, dependencies=[SELF])
async def object_to(request: Request, work: Streamed, number: str) -> ObjectionView:
    """提出异议 · A multipart form: the field `statement`, then the evidence as a file. During the notice only."""
    taken = await receive(request, work.house.incoming, EVIDENCE_BYTES)

    def keep() -> ObjectionView:
        stored = keep_paper(work, taken)
        with work.unit() as unit:
            return _objection(
                notices.raise_objection(
                    unit,
                    work.actor,
                    number,
                    statement=taken.fields.get("statement", ""),
                    evidence=[(taken.name, stored)],
                    office=work.house.settings.registry,
                )
            )

    try:
        return await run_in_threadpool(keep)
    finally:
        taken.discard()


@router.get("/assets/{asset_id}/objections", dependencies=[SELF])
def objections(house: HouseDep, actor: ActorDep, asset_id: str) -> list[ObjectionView]:
    """异议 · All for those concerned with the asset, your own otherwise."""
    with house.store.view() as view:
        queries.asset(view, actor, asset_id)
        return [_objection(row) for row in queries.objections(view, actor, asset_id)]


@router.get("/objections/{objection_id}", dependencies=[SELF])
def objection(house: HouseDep, actor: ActorDep, objection_id: str) -> ObjectionView:
    """异议详情 · For its author and those concerned with the asset."""
    with house.store.view() as view:
        return _objection(queries.objection(view, actor, objection_id))


@router.post("/objections/{objection_id}/answer", dependencies=[DRAFT])
def answer(work: Work, objection_id: str, body: Answer) -> ObjectionView:
    """答复异议 · The registrant's side."""
    return work.once(
        ObjectionView,
        lambda unit: _objection(notices.answer_objection(unit, work.actor, objection_id, answer=body.answer)),
    )


@router.post("/objections/{objection_id}/dismissal", dependencies=[REVIEW])
def dismiss(work: Work, objection_id: str, body: Reason) -> ObjectionView:
    """异议不成立 · The notice goes on with the days that were left."""
    office = work.house.settings.registry
    return work.once(
        ObjectionView,
        lambda unit: _objection(
            notices.dismiss_objection(unit, work.actor, objection_id, reason=body.reason, office=office)
        ),
    )


@router.post("/objections/{objection_id}/sustainment", dependencies=[REVIEW])
def sustain(work: Work, objection_id: str, body: Reason) -> ObjectionView:
    """异议成立 · The application is rejected."""
    return work.once(
        ObjectionView,
        lambda unit: _objection(
            notices.sustain_objection(unit, work.actor, objection_id, reason=body.reason)
        ),
    )


@router.get("/assets/{asset_id}/certificates", dependencies=[EITHER])
def certificates(house: HouseDep, actor: ActorDep, asset_id: str) -> list[CertificateView]:
    """登记凭证 · One for every step that left the registration in force, newest first."""
    with house.store.view() as view:
        return [CertificateView.model_validate(row) for row in queries.certificates(view, actor, asset_id)]


@router.get("/certificates/{certificate_id}/file", dependencies=[EITHER])
def certificate_file(house: HouseDep, actor: ActorDep, certificate_id: str) -> JSONResponse:
    """凭证文件 · The signed file for `shugang verify certificate`; made a moment after registration."""
    with house.store.view() as view:
        found = queries.certificate(view, actor, certificate_id)
    if found.document is None:
        raise NotFound(certificate=certificate_id)
    return JSONResponse(
        found.document, headers={"Content-Disposition": f'attachment; filename="{found.number}.json"'}
    )


@router.get("/certificates/{certificate_id}/pdf", dependencies=[EITHER], response_class=Response)
def certificate_pdf(house: HouseDep, actor: ActorDep, certificate_id: str) -> Response:
    """凭证打印本 · As PDF/A with a code that leads to the public check."""
    with house.store.view() as view:
        found = queries.certificate(view, actor, certificate_id)
    if found.pdf_sha256 is None:
        raise NotFound(certificate=certificate_id)
    with house.objects.open(found.pdf_sha256) as source:
        body = source.read()
    return Response(
        body,
        media_type="application/pdf",
        headers={"Content-Disposition": f'inline; filename="{found.number}.pdf"'},
    )
