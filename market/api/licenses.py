"""Licenses: what one holds or granted, and the stop button."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask

from contracts.queries import licenses_held
from contracts.rules import LICENSE, LicenseState
from contracts.tables import License
from contracts.terms import Tier
from market.api.cases import CaseView
from market.api.orders import Reason
from market.api.usage import UsageView, usage_view
from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work, Worker
from market.identity.rules import Permission
from market.trading import actions, living, revocation
from market.trading.closing import count_license, settle_license
from market.trading.queries import readable_license
from metering.limits import Limit, limits_of
from metering.queries import gate
from metering.statements import issue_statement
from metering.usage import span, usage_by
from metering.words import By, LimitUnit
from storage.unit import Unit

router = APIRouter(prefix="/licenses", tags=["licenses"])
READ = allow(Permission.ORDER_READ)
STOP = allow(Permission.LICENSE_SUSPEND)
Month = Annotated[str, Query(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]


class LicenseView(BaseModel, from_attributes=True):
    id: str
    number: str
    state: LicenseState
    tier: Tier
    product_id: str
    buyer_id: str
    seller_id: str
    contract_id: str | None
    prepay_fen: int
    serve_from: datetime | None
    serve_until: datetime | None
    terms: dict[str, Any]
    verbs: list[str] = []


class LimitView(BaseModel):
    limit: LimitUnit
    used: int
    most: int | None
    left: int | None
    percent: int
    step: int


class LicenseUsageView(UsageView):
    limits: list[LimitView]
    used_calls: int
    used_rows: int
    used_bytes: int
    used_downloads: int
    spent_fen: int
    limit_calls: int | None
    limit_rows: int | None
    limit_bytes: int | None
    limit_downloads: int | None
    spend_cap_fen: int | None
    left_fen: int | None


class MisuseView(BaseModel):
    license: str
    rules: list[str]


class SettledView(BaseModel):
    invoice: str | None
    gross_fen: int


def _view(license: License) -> LicenseView:  # noqa: A002  # the word of the domain
    return LicenseView.model_validate(license).model_copy(update={"verbs": LICENSE.verbs(license.state)})


@router.get("", dependencies=[READ])
def licenses(
    house: HouseDep,
    actor: ActorDep,
    state: LicenseState | None = None,
    before: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[LicenseView]:
    """我的许可 · Licenses your organization holds, newest first."""
    with house.store.view() as view:
        return [
            _view(row) for row in licenses_held(view, actor.own_org, state=state, before=before, limit=limit)
        ]


@router.get("/{license_id}", dependencies=[READ])
def one(house: HouseDep, actor: ActorDep, license_id: str) -> LicenseView:
    """许可详情 · One license with its frozen terms."""
    with house.store.view() as view:
        return _view(readable_license(view, actor, license_id))


def _stop(work: Worker, license_id: str, body: Reason, act: Callable[..., License]) -> LicenseView:
    def run(unit: Unit) -> LicenseView:
        return _view(act(unit, work.actor, license_id, reason=body.reason))

    return work.once(LicenseView, run)


@router.post("/{license_id}/termination", dependencies=[allow(Permission.CONTRACT_ACCEPT)])
def terminate(work: Work, license_id: str, body: Reason) -> LicenseView:
    """终止许可 · Give a license back before its term is over."""
    return _stop(work, license_id, body, actions.terminate_license)


@router.post(
    "/{license_id}/misuse",
    status_code=201,
    dependencies=[allow(Permission.LICENSE_SUSPEND, Permission.OFFER_ACCEPT)],
)
def misuse(work: Work, license_id: str, body: Reason) -> MisuseView:
    """举报超范围使用 · The data was seen used for another purpose; compliance looks into it (rule T24)."""

    def run(unit: Unit) -> MisuseView:
        hits = living.report_misuse(unit, work.actor, license_id, reason=body.reason)
        return MisuseView(license=license_id, rules=[hit.rule for hit in hits])

    return work.once(MisuseView, run)


@router.get("/{license_id}/usage", dependencies=[allow(Permission.USAGE_READ)])
def usage(
    house: HouseDep,
    actor: ActorDep,
    license_id: str,
    by: By = By.DAY,
    since: datetime | None = None,
    until: datetime | None = None,
    days: Annotated[int, Query(ge=1, le=400)] = 31,
) -> LicenseUsageView:
    """用量 · What was used by hour, day, purpose or credential, what is left, and the cost to date, for both sides."""
    begins, ends = span(by, since, until, days=days)
    with house.store.view() as view:
        readable_license(view, actor, license_id)
        lines = usage_by(
            view, by, license_id=license_id, since=begins, until=ends, zone=house.settings.timezone
        )
        held = gate(view, license_id)
    limits = [LimitView(limit=each.unit, **_figures(each)) for each in limits_of(held)]
    counted = {name: getattr(held, name) for name in LicenseUsageView.model_fields if hasattr(held, name)}
    cap = held.spend_cap_fen
    left_fen = None if cap is None else cap - held.spent_fen
    shown = usage_view(by, begins, ends, lines).model_dump()
    return LicenseUsageView(**shown, **counted, limits=limits, left_fen=left_fen)


def _figures(limit: Limit) -> dict[str, int | None]:
    return {name: getattr(limit, name) for name in ("used", "most", "left", "percent", "step")}


@router.get(
    "/{license_id}/statement", dependencies=[allow(Permission.USAGE_READ)], response_class=JSONResponse
)
def usage_statement(house: HouseDep, actor: ActorDep, license_id: str, period: Month) -> StreamingResponse:
    """对账单 · Every counted event of a month under a signed Merkle root; `shugang verify statement` checks it offline."""
    key = house.document_key()
    with house.store.snapshot() as view:
        number = readable_license(view, actor, license_id).number
        issued = issue_statement(
            view, license_id, period, key=key, zone=house.settings.timezone, folder=house.work
        )
    return StreamingResponse(
        issued.parts(),
        media_type="application/json",
        headers={
            "Content-Length": str(issued.size),
            "Content-Disposition": f'attachment; filename="statement-{number}-{period}.json"',
        },
        background=BackgroundTask(issued.close),
    )


@router.post("/{license_id}/settlement", dependencies=[allow(Permission.INVOICE_ISSUE)])
def settle(work: Work, license_id: str) -> SettledView:
    """结清 · Invoice what an ended license used this month."""
    settings = work.house.settings.billing
    counted = count_license(work.house.store, license_id, settings)

    def act(unit: Unit) -> SettledView:
        invoice = settle_license(unit, work.actor, license_id, settings, counted)
        return SettledView(
            invoice=invoice.id if invoice else None, gross_fen=invoice.gross_fen if invoice else 0
        )

    return work.once(SettledView, act)


@router.post("/{license_id}/suspension", dependencies=[STOP])
def suspend(work: Work, license_id: str, body: Reason) -> LicenseView:
    """中止许可 · The very next request is refused."""
    return _stop(work, license_id, body, actions.suspend_license)


@router.post("/{license_id}/resumption", dependencies=[STOP])
def resume(work: Work, license_id: str, body: Reason) -> LicenseView:
    """恢复许可 · Serve again."""
    return _stop(work, license_id, body, actions.resume_license)


@router.post("/{license_id}/revocation", dependencies=[STOP])
def revoke(work: Work, license_id: str, body: Reason) -> LicenseView:
    """撤销许可 · End a license for good, now."""
    return _stop(work, license_id, body, actions.revoke_license)


@router.post(
    "/{license_id}/revocation-request", status_code=201, dependencies=[allow(Permission.OFFER_ACCEPT)]
)
def ask_revocation(work: Work, license_id: str, body: Reason) -> CaseView:
    """申请撤销许可 · The provider asks; a compliance officer decides in a case."""
    zone = work.house.settings.timezone
    return work.once(
        CaseView,
        lambda unit: CaseView.model_validate(
            revocation.ask_revocation(unit, work.actor, license_id, reason=body.reason, zone=zone)
        ),
    )
