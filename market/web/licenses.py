"""Licenses and the credentials that open them: terms, what is left, usage, and the stop button."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response

from contracts.queries import licenses_all, licenses_granted, licenses_held
from contracts.rules import LICENSE, LicenseState
from contracts.tables import License
from contracts.terms import Tier
from market.approvals.rules import reason_faults
from market.audit.queries import history
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.queries import parties, people
from market.identity.rules import Actor, Permission
from market.trading import actions, living
from market.trading.closing import count_license, settle_license
from market.trading.queries import OVERSEERS, of_license, readable_license
from market.trading.refunds import left_of
from market.web.forms import GUARDED, Form, FormDep, again, leave, once
from market.web.values import picked
from market.web.words import KINDS
from metering import actions as metering
from metering.limits import limits_of
from metering.queries import credentials as credentials_of
from metering.queries import gate
from metering.rating import Usage
from metering.shelf import why_shut
from metering.tables import Credential
from metering.usage import span, usage_by
from metering.words import By, OneSecret, told
from storage.kernel import clock
from storage.kernel.problem import Fault, Invalid
from storage.kernel.words import Words
from storage.unit import Unit, View

router = APIRouter(dependencies=GUARDED)
READ = allow(Permission.ORDER_READ, Permission.INVOICE_ISSUE)
KEEP = allow(Permission.CREDENTIAL_KEEP, Permission.PRODUCT_BUILD)
SHOWN, DAYS = 50, 31
VERBS = {
    "suspend": actions.suspend_license,
    "resume": actions.resume_license,
    "revoke": actions.revoke_license,
    "terminate": actions.terminate_license,
}


@router.get("/licenses", dependencies=[READ])
def licenses(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """许可 · Licenses held, those granted (`?granted=1`), or all for those who oversee the market."""
    state = next((each for each in LicenseState if each.value == form["state"]), None)
    before = form["before"] or None
    overseer = bool(actor.roles & OVERSEERS)
    supplies, buys = actor.may(Permission.OFFER_ACCEPT), actor.may(Permission.CONTRACT_ACCEPT)
    granted = supplies and (bool(form["granted"]) or not buys)
    with house.store.view() as view:
        if overseer:
            rows = licenses_all(view, state=state, before=before, limit=SHOWN)
        else:
            listed = licenses_granted if granted else licenses_held
            rows = listed(view, actor.own_org, state=state, before=before, limit=SHOWN)
        people = parties(view, {row.buyer_id for row in rows} | {row.seller_id for row in rows})
    return page(
        request,
        "licenses.html",
        rows=rows,
        people=people,
        states=list(LicenseState),
        state=form["state"],
        granted=granted,
        both=supplies and buys and not overseer,
        overseer=overseer,
        limit=SHOWN,
    )


@router.get("/licenses/{license_id}", dependencies=[READ])
def license_page(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, license_id: str
) -> Response:
    """许可详情 · Frozen terms, what is left, usage by day, how to call, and what the reader may do."""
    now, zone = clock.now(), house.settings.timezone
    with house.store.view() as view:
        held = readable_license(view, actor, license_id)
        door = gate(view, license_id) if held.serve_from else None
        shut = why_shut(door, now) if door else None
        begins, ends = span(By.DAY, None, None, days=DAYS)
        used = usage_by(view, By.DAY, license_id=license_id, since=begins, until=ends, zone=zone)
        by = picked(By, form["by"]) or By.DAY
        begins, ends = span(by, None, None, days=DAYS)
        lines = usage_by(view, by, license_id=license_id, since=begins, until=ends, zone=zone)
        order = of_license(view, license_id)
        refundable = refundable_of(view, actor, held)
        # What stood out is for those who look into it, not for whom it is about.
        story = [
            entry
            for entry in history(view, f"license:{license_id}")
            if entry.kind not in {"usage.anomaly", "license.off_purpose"} or held.buyer_id != actor.org
        ]
        people = parties(view, {held.buyer_id, held.seller_id} | {e.org for e in story if e.org})
    return page(
        request,
        "license.html",
        form=form,
        license=held,
        terms=held.frozen_terms(),
        gate=door,
        shut=shut,
        shut_words=told(shut, door.stands_on) if door and shut else None,
        limits=limits_of(door) if door else [],
        by=by,
        groups=[By.HOUR, By.DAY, By.PURPOSE, By.CREDENTIAL],
        lines=lines[::-1] if by in {By.HOUR, By.DAY} else lines,
        days=used,
        bars=bars(used, now.astimezone(ZoneInfo(zone))),
        order=order,
        story=story,
        kinds=KINDS,
        people=people,
        months=months_between(held.serve_from, held.ended_at or now, zone),
        holder=held.buyer_id == actor.org,
        verbs=verbs_for(actor, held.buyer_id, held.state),
        may_report=watches(actor, held) and not LICENSE.ended(held.state),
        may_settle=actor.may(Permission.INVOICE_ISSUE)
        and held.tier is Tier.COMMERCIAL
        and LICENSE.ended(held.state),
        refundable=refundable,
    )


def refundable_of(view: View, actor: Actor, held: License) -> int | None:
    """What the reader may ask back (fen); None when it is not theirs to ask, or the license goes on."""
    mine = actor.may(Permission.REFUND_ASK) and held.buyer_id == actor.org
    order = of_license(view, held.id)
    if not mine or order is None or held.tier is not Tier.COMMERCIAL or not LICENSE.ended(held.state):
        return None
    return left_of(view, held, order.id).refundable_fen


def verbs_for(actor: Actor, buyer_id: str, state: LicenseState) -> list[str]:
    """What the reader may do to a license now; compliance never to their own organization's."""
    mine = set()
    if actor.may(Permission.LICENSE_SUSPEND) and actor.org != buyer_id:
        mine |= {"suspend", "resume", "revoke"}
    if actor.may(Permission.CONTRACT_ACCEPT) and actor.org == buyer_id:
        mine.add("terminate")
    return [verb for verb in VERBS if verb in mine and verb in LICENSE.verbs(state)]


def watches(actor: Actor, held: License) -> bool:
    """Whether the reader may report misuse: its provider or compliance, never the holder."""
    if actor.belongs_to(held.buyer_id):
        return False
    return actor.may(Permission.LICENSE_SUSPEND) or (
        actor.may(Permission.OFFER_ACCEPT) and actor.org == held.seller_id
    )


def bars(used: list[tuple[str, Usage]], today: datetime) -> list[tuple[str, int]]:
    """Answers of each of the last days, also of those without any, as (MM-DD, count)."""
    counted = {day: usage.events for day, usage in used}
    days = [(today - timedelta(days=back)).date().isoformat() for back in range(DAYS - 1, -1, -1)]
    return [(day[5:], counted.get(day, 0)) for day in days]


def months_between(first: datetime | None, last: datetime, zone: str) -> list[str]:
    """The months (`YYYY-MM`) a license was served in, newest first, two years at most.

    >>> from datetime import UTC
    >>> months_between(
    ...     datetime(2026, 11, 30, 17, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC), "Asia/Shanghai"
    ... )
    ['2027-01', '2026-12']
    """
    if first is None:
        return []
    begin, end = first.astimezone(ZoneInfo(zone)), last.astimezone(ZoneInfo(zone))
    count = (end.year - begin.year) * 12 + end.month - begin.month + 1
    months = (divmod(end.year * 12 + end.month - 1 - back, 12) for back in range(min(count, 24)))
    return [f"{year}-{month + 1:02d}" for year, month in months]


@router.post(
    "/licenses/{license_id}/decision",
    dependencies=[allow(Permission.LICENSE_SUSPEND, Permission.CONTRACT_ACCEPT)],
)
@again(license_page)
def decide(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, license_id: str) -> Response:
    """中止、恢复、撤销、终止 · Change a license, with a reason; the next request feels it."""
    faults = list(reason_faults(form["reason"]))
    act = VERBS.get(form["verb"])
    if act is None:
        words = Words("请选择要办理的事项。", "Choose what to do.")
        faults.insert(0, Fault("verb", "required", words))
    if act is None or faults:
        raise Invalid(*faults)
    once(
        request,
        house,
        actor,
        form,
        lambda unit: act(unit, actor, license_id, reason=form["reason"]).id,
    )
    return leave(f"/licenses/{license_id}", done="license_moved")


@router.post(
    "/licenses/{license_id}/misuse", dependencies=[allow(Permission.LICENSE_SUSPEND, Permission.OFFER_ACCEPT)]
)
@again(license_page)
def misuse(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, license_id: str) -> Response:
    """举报超范围使用 · The data was seen used for another purpose; compliance looks into it."""

    def act(unit: Unit) -> str:
        living.report_misuse(unit, actor, license_id, reason=form["misuse"])
        return license_id

    once(request, house, actor, form, act)
    return leave(f"/licenses/{license_id}", done="misuse_told")


@router.post("/licenses/{license_id}/settlement", dependencies=[allow(Permission.INVOICE_ISSUE)])
@again(license_page)
def settle(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, license_id: str) -> Response:
    """结清 · Invoice what an ended license used this month."""
    settings = house.settings.billing
    counted = count_license(house.store, license_id, settings)

    def act(unit: Unit) -> str:
        invoice = settle_license(unit, actor, license_id, settings, counted)
        return invoice.id if invoice else ""

    invoice_id = once(request, house, actor, form, act)
    if not invoice_id:
        return leave(f"/licenses/{license_id}", done="nothing_due")
    return leave(f"/invoices/{invoice_id}", done="settled")


@router.get("/credentials", dependencies=[KEEP])
def credentials(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """接入凭证 · The programs of one's organization."""
    with house.store.view() as view:
        rows = credentials_of(view, actor.own_org)
        keepers = people(view, {row.kept_by for row in rows})
    return page(
        request,
        "credentials.html",
        form=form,
        rows=rows,
        keepers=keepers,
        shown=None,
        secret="",
        now=clock.now(),
    )


@router.post("/credentials", dependencies=[KEEP])
@again(credentials)
def keep(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """新建凭证 · The secret stands on this one answer and is kept nowhere."""
    if not 1 <= len(form["name"]) <= 80:
        words = Words("请填写 1 至 80 字的名称。", "Give it a name of 1 to 80 characters.")
        raise Invalid(Fault("name", "length", words))
    cidrs = _cidrs(form, "cidrs")
    made: list[tuple[Credential, str]] = []

    def act(unit: Unit) -> str:
        row = metering.keep_credential(
            unit, org_id=actor.own_org, kept_by=actor.person, name=form["name"], cidrs=cidrs
        )
        made[:] = [row]
        return made[0][0].id

    once(request, house, actor, form, act)
    return _shown(request, house, actor, made)


def _cidrs(form: Form, field: str) -> list[str]:
    cidrs = form[field].replace(",", " ").split()
    if len(cidrs) > 20:
        raise Invalid(Fault(field, "length", Words("最多 20 个网段。", "20 networks at most.")))
    return cidrs


def _shown(request: Request, house: HouseDep, actor: Actor, made: list[tuple[Credential, str]]) -> Response:
    if not made:  # the same form once more: the secret is not kept, so it cannot be shown again
        return leave("/credentials", done="credential_shown")
    row, secret = made[0]
    with house.store.view() as view:
        rows = credentials_of(view, actor.own_org)
        keepers = people(view, {row.kept_by for row in rows})
        held = licenses_held(view, actor.own_org, state=LicenseState.ACTIVE, limit=1)
    return page(
        request,
        "credentials.html",
        form=Form(),
        rows=rows,
        keepers=keepers,
        shown=row,
        secret=secret,
        example=held[0] if held else None,
        now=clock.now(),
    )


@router.post("/credentials/{client_id}/rotation", dependencies=[KEEP])
@again(credentials)
def rotate(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, client_id: str) -> Response:
    """轮换密钥 · A new secret; the older one works for some days, and while it does one of the two ends now."""
    hours = house.settings.metering.older_secret_hours
    made: list[tuple[Credential, str]] = []

    def act(unit: Unit) -> str:
        row = metering.rotate_credential(
            unit,
            client_id,
            org_id=actor.own_org,
            kept_by=actor.person,
            older_hours=hours,
            end=picked(OneSecret, form["end"]),
        )
        made[:] = [row]
        return client_id

    once(request, house, actor, form, act)
    return _shown(request, house, actor, made)


@router.post("/credentials/{client_id}/networks", dependencies=[KEEP])
@again(credentials)
def set_networks(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, client_id: str
) -> Response:
    """更改允许的网段 · Where programs may use it from now on."""
    cidrs = _cidrs(form, "networks")
    try:
        with house.store.unit(actor.id, actor.org) as unit:
            metering.set_networks(unit, client_id, org_id=actor.own_org, cidrs=cidrs)
    except Invalid as refusal:  # the form for a new one has a field `cidrs`, too
        raise Invalid(*(replace(fault, field="networks") for fault in refusal.faults)) from None
    return leave("/credentials", done="networks_set")


@router.post("/credentials/{client_id}/end", dependencies=[KEEP])
@again(credentials)
def end(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, client_id: str) -> Response:
    """停用凭证 · Its tokens are refused from the next request on."""
    with house.store.unit(actor.id, actor.org) as unit:
        metering.end_credential(unit, client_id, org_id=actor.own_org, reason="ended by its owner")
    return leave("/credentials", done="credential_ended")
