"""Usage events: what a provider delivered outside the gateway, reported as signed CloudEvents and booked once."""

from collections import Counter
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work
from market.identity.rules import Actor, Permission
from metering.cloudevents import BATCH, MOST_EVENTS, SINGLE, TYPE, items
from metering.report_keys import (
    Message,
    check_signature,
    end_report_key,
    keep_report_key,
    live_report_keys,
    report_keys,
)
from metering.reporting import OUTSIDE, book_report
from metering.tables import ReportKey
from metering.words import Reported
from storage.kernel.problem import Problem
from storage.kernel.words import Words

router = APIRouter(prefix="/usage-events", tags=["usage"])
REPORT = allow(Permission.PRODUCT_BUILD)


class ProgramNeeded(Problem):
    """须由程序上报. Usage is reported by a program with a client credential, not by a person's session."""

    status = 403
    title = Words("用量只能由程序凭接入凭证上报", "Usage is reported by a program with a credential")
    remedy = Words(
        "请用接入凭证在 /oauth/token 获取令牌后上报。",
        "Get a token with a credential at /oauth/token, then report.",
    )


class KeyForm(BaseModel, extra="forbid"):
    name: str = Field(min_length=1, max_length=80, examples=["现场计量 on-site meter"])
    x: str = Field(max_length=60, description="Ed25519 JWK 的 x the x of an Ed25519 JWK")


class KeyView(BaseModel, from_attributes=True):
    kid: str
    name: str
    x: str
    kept_at: datetime
    ended_at: datetime | None


class ReasonView(BaseModel):
    code: str
    zh: str
    en: str


class ResultView(BaseModel):
    index: int
    id: str | None
    result: Reported
    reason: ReasonView | None
    receipt: dict[str, Any] | None
    period: str | None
    late: bool


class ReportView(BaseModel):
    accepted: int
    duplicate: int
    conflict: int
    rejected: int
    results: list[ResultView]


async def _body(request: Request) -> bytes:
    return await request.body()  # as signed, byte for byte


_EVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "maxLength": 200, "description": "UUIDv7 为佳 best a UUIDv7"},
        "source": {"type": "string", "maxLength": 500},
        "type": {"const": TYPE},
        "subject": {"type": "string", "description": "许可编号 the license, lic_…"},
        "time": {"type": "string", "format": "date-time"},
        "data": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "calls": {"type": "integer", "minimum": 0},
                "rows": {"type": "integer", "minimum": 0},
                "bytes": {"type": "integer", "minimum": 0},
                "purpose": {"type": "string"},
                "delivery": {
                    "enum": sorted(OUTSIDE),
                    "description": "许可另有平台交付时必填 needed where the platform delivers under the license, too",
                },
            },
        },
    },
}
_CONTENT = {
    SINGLE: {"schema": _EVENT},
    BATCH: {"schema": {"type": "array", "minItems": 1, "maxItems": MOST_EVENTS, "items": _EVENT}},
    "application/json": {"schema": _EVENT["properties"]["data"]},  # type: ignore[index]  # binary mode
}
_HEADERS = [
    {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
    for name in ("Content-Digest", "Signature-Input", "Signature")
]


@router.post(
    "",
    dependencies=[REPORT],
    openapi_extra={"requestBody": {"required": True, "content": _CONTENT}, "parameters": _HEADERS},
    responses={200: {"model": ReportView}, 409: {"model": ReportView}, 422: {"model": ReportView}},
)
def report(
    request: Request, house: HouseDep, actor: ActorDep, body: Annotated[bytes, Depends(_body)]
) -> JSONResponse:
    """上报用量 · Book what was delivered outside the gateway. The event id makes twice once; no Idempotency-Key.

    A batch answers 200 with one result per event. A single event answers 409 for a conflict and 422 for a
    rejection, so that a plain CloudEvents sender notices.
    """
    headers = _signed(request, house, actor, body)
    read = items(headers, body)
    outcomes = book_report(
        house.database,
        read,
        org_id=actor.own_org,
        credential_id=actor.id,
        zone=house.settings.timezone,
    )
    counted = Counter(outcome.result for outcome in outcomes)
    answer = {str(result): counted[result] for result in Reported}
    batch = headers["content-type"].partition(";")[0].strip().lower() == BATCH
    status = {Reported.CONFLICT: 409, Reported.REJECTED: 422}.get(outcomes[0].result, 200)
    return JSONResponse(
        answer | {"results": [outcome.document() for outcome in outcomes]}, 200 if batch else status
    )


def _signed(request: Request, house: HouseDep, actor: Actor, body: bytes) -> dict[str, str]:
    """The headers of a report that a registered key of the caller's own organization has signed."""
    if not actor.id.startswith("cli_"):
        raise ProgramNeeded
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    headers.setdefault("content-type", "")
    with house.store.view() as view:
        keys = live_report_keys(view, actor.own_org)
    # The address people see, not the Host header: it decides nothing.
    url = (
        house.settings.public_url + request.url.path + (f"?{request.url.query}" if request.url.query else "")
    )
    check_signature(Message(request.method, url, headers), body, keys)
    return headers


@router.get("/keys", dependencies=[REPORT])
def keys(house: HouseDep, actor: ActorDep) -> list[KeyView]:
    """上报公钥 · The public keys your organization signs its reports with."""
    with house.store.view() as view:
        return [KeyView.model_validate(row) for row in report_keys(view, actor.own_org)]


@router.post("/keys", status_code=201, dependencies=[REPORT])
def keep(work: Work, body: KeyForm) -> KeyView:
    """登记上报公钥 · Register the public half of an Ed25519 key pair; its kid is the RFC 7638 thumbprint."""

    def act(unit: Any) -> KeyView:
        row: ReportKey = keep_report_key(unit, org_id=work.actor.own_org, name=body.name, x=body.x)
        return KeyView.model_validate(row)

    return work.once(KeyView, act)


@router.delete("/keys/{kid}", status_code=204, dependencies=[REPORT])
def end(work: Work, kid: str) -> None:
    """停用上报公钥 · Reports signed with it are refused from the next one on."""
    with work.unit() as unit:
        end_report_key(unit, kid, org_id=work.actor.own_org)
