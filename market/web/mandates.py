"""Mandates as pages: public from their notice on, the bureau's desk, and the operator's signature."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from contracts.terms import Purpose
from market.http.render import page
from market.http.who import ActorDep, HouseDep, VisitorDep, allow
from market.identity.queries import parties, verified_of
from market.identity.rules import Actor, Permission
from market.mandates import actions, queries
from market.mandates.rules import MANDATE, OPERATOR_KINDS, Agreement, Assessed, MandateKind
from market.mandates.tables import Mandate
from market.trading import holding
from market.web.forms import GUARDED, Form, FormDep, again, leave, once
from market.web.values import build, day, fen, whole, words_of
from market.web.words import KINDS
from storage.kernel import clock, money
from storage.kernel.problem import WrongState, invalid
from storage.unit import Unit

router = APIRouter(prefix="/mandates", dependencies=GUARDED)
GRANT = allow(Permission.MANDATE_GRANT)
STEP = allow(Permission.MANDATE_GRANT, Permission.MANDATE_SIGN)
BRACKETS = range(1, 6)  # rows of the form
TEXTS = ("title", "kind", "duties", "charging", "exit_terms", "first_day", "last_day")
SCOPE = ("resources", "units", "sectors", "scenarios")


@router.get("")
def mandates(request: Request, house: HouseDep, caller: VisitorDep) -> Response:
    """授权运营 · Published mandates, and one's own drafts; no account needed."""
    with house.store.view() as view:
        rows = queries.mandates(view, caller.actor, limit=200)
        people = parties(view, {row.operator_id for row in rows} | {row.mandator_id for row in rows})
    return page(
        request,
        "mandates.html",
        rows=rows,
        people=people,
        may_grant=_may(caller.actor, Permission.MANDATE_GRANT),
    )


def _may(actor: Actor | None, permission: Permission) -> bool:
    return actor is not None and actor.may(permission)


@router.get("/new", dependencies=[GRANT])
def new(request: Request, house: HouseDep, form: FormDep) -> Response:
    """起草授权 · What a bureau would entrust to an operator."""
    with house.store.view() as view:
        operators = verified_of(view, OPERATOR_KINDS)
    return page(request, "mandate_edit.html", form=form, row=None, operators=operators, **_choices())


def _choices() -> dict[str, Any]:
    return {"kinds": MandateKind, "purposes": Purpose, "brackets": BRACKETS}


@router.post("", dependencies=[GRANT])
@again(new)
def draft(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """起草授权 · Keep the draft; every fault is named at its field."""
    agreement = _agreement(form)

    def act(unit: Unit) -> str:
        row = actions.draft_mandate(unit, actor, operator_id=form["operator_id"][:40], agreement=agreement)
        return row.id

    return leave(f"/mandates/{once(request, house, actor, form, act)}", done="mandate_kept")


@router.get("/{mandate_id}")
def mandate(
    request: Request, house: HouseDep, caller: VisitorDep, form: FormDep, mandate_id: str
) -> Response:
    """一项授权 · What was entrusted, to whom, until when, and what happened to it."""
    actor = caller.actor
    with house.store.view() as view:
        row = queries.mandate(view, actor, mandate_id)
        assessed = queries.assessments(view, row.id)
        concerned = actor is not None and (
            actor.org in {row.mandator_id, row.operator_id} or actor.may(Permission.JOURNAL_READ)
        )
        entries = queries.history(view, row.id) if concerned else []
        orgs = {row.operator_id, row.mandator_id} | {entry.org for entry in entries if entry.org}
        people = parties(view, orgs)
    return page(
        request,
        "mandate.html",
        form=form,
        mandate=row,
        terms=row.terms(),
        people=people,
        assessed=assessed,
        entries=entries,
        kinds=KINDS,
        verbs=_verbs(row, actor),
        verdicts=Assessed,
        purposes=Purpose,
    )


def _verbs(row: Mandate, actor: Actor | None) -> set[str]:
    """What this reader can do now."""
    able = set(MANDATE.verbs(row.state))
    verbs: set[str] = set()
    if actor is None:
        return verbs
    if actor.org == row.mandator_id and actor.may(Permission.MANDATE_GRANT):
        verbs |= able & {"edit", "submit", "suspend", "resume", "terminate", "hand_over", "assess"}
        if "return" in able and "agree" not in able:
            verbs.add("take_back")
    if actor.org == row.operator_id and actor.may(Permission.MANDATE_SIGN) and "sign" in able:
        verbs.add("sign" if row.notice_until and row.notice_until <= clock.now() else "wait")
    return verbs


@router.get("/{mandate_id}/edit", dependencies=[GRANT])
def edit_form(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, mandate_id: str) -> Response:
    """修改草案 · The agreement as it stands, while it is a draft."""
    with house.store.view() as view:
        row = queries.mandate(view, actor, mandate_id)
        operators = verified_of(view, OPERATOR_KINDS)
    if "edit" not in _verbs(row, actor):
        raise WrongState(thing="mandate", state=str(row.state), verb="edit", allowed=[])
    if request.method == "GET":
        form = _filled(form, row)
    return page(request, "mandate_edit.html", form=form, row=row, operators=operators, **_choices())


def _filled(form: Form, row: Mandate) -> Form:
    terms = row.terms()
    values: dict[str, Any] = {name: str(getattr(terms, name) or "") for name in TEXTS}
    values |= {name: "、".join(getattr(terms.scope, name)) for name in SCOPE}
    values["purposes"] = [str(purpose) for purpose in terms.purposes]
    values["operator_id"] = row.operator_id
    for number, bracket in zip(BRACKETS, terms.brackets, strict=False):
        values[f"from.{number}"] = money.yuan(bracket.from_fen)
        values[f"share.{number}"] = f"{bracket.share_bp // 100}"
    return form.filled(**values)


@router.post("/{mandate_id}/edit", dependencies=[GRANT])
@again(edit_form)
def edit(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, mandate_id: str) -> Response:
    """修改草案 · Keep the changes."""
    agreement = _agreement(form)
    with house.store.unit(actor.id, actor.org) as unit:
        actions.edit_mandate(unit, actor, mandate_id, agreement=agreement)
    return leave(f"/mandates/{mandate_id}", done="mandate_kept")


def _agreement(form: Form) -> Agreement:
    values: dict[str, Any] = {name: form[name] for name in TEXTS if form[name]}
    values["scope"] = {name: words_of(form[name]) for name in SCOPE}
    values["purposes"] = form.all("purposes")
    values["redelegation"] = form["redelegation"] == "yes"
    brackets = []
    for number in BRACKETS:
        share = whole(form, f"share.{number}")
        if share is None:
            continue
        if share > 100:
            raise invalid(f"share.{number}", "share.percent", "比例为 0 至 100。", "0 to 100 percent.")
        brackets.append({"from_fen": fen(form, f"from.{number}"), "share_bp": share * 100})
    values["brackets"] = brackets
    return build(Agreement, values)


@router.post("/{mandate_id}/step", dependencies=[STEP])
@again(mandate)
def step(
    request: Request, house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep, mandate_id: str
) -> Response:
    """办理授权 · Submit, sign, suspend, resume, terminate, hand over or assess; what it ends ends at once."""
    act = STEPS.get(form["verb"])
    if act is None:
        raise invalid("verb", "required", "请选择要办理的事项。", "Choose what to do.")

    def once_only(unit: Unit) -> str:
        act(unit, actor, mandate_id, form, house.settings.timezone)
        return mandate_id

    once(request, house, actor, form, once_only)
    return leave(f"/mandates/{mandate_id}", done="mandate_moved")


def _submit(unit: Unit, actor: Actor, mandate_id: str, form: Form, _zone: str) -> object:
    minutes_on = day(form, "minutes_on")
    if minutes_on is None:
        raise invalid("minutes_on", "required", "请填写集体审议日期。", "On which day was it decided?")
    return actions.submit_mandate(
        unit, actor, mandate_id, minutes_no=form["minutes_no"], minutes_on=minutes_on
    )


def _assess(unit: Unit, actor: Actor, mandate_id: str, form: Form, _zone: str) -> object:
    verdict = next((each for each in Assessed if each.value == form["assessed"]), None)
    if verdict is None:
        raise invalid("assessed", "required", "请选择评估结论。", "Choose the judgment.")
    year = whole(form, "year") or 0
    return actions.assess(unit, actor, mandate_id, year=year, verdict=verdict, note=form["note"])


Step = Callable[[Unit, Actor, str, Form, str], object]  # the last is the zone licenses are dated by


def _reasoned(act: Callable[..., object]) -> Step:
    return lambda unit, actor, mandate_id, form, zone: act(
        unit, actor, mandate_id, reason=form["reason"], zone=zone
    )


STEPS: dict[str, Step] = {
    "submit": _submit,
    "take_back": lambda unit, actor, mandate_id, form, _zone: actions.take_back_notice(
        unit, actor, mandate_id, reason=form["reason"]
    ),
    "sign": lambda unit, actor, mandate_id, form, zone: holding.sign_mandate(
        unit, actor, mandate_id, sha256=form["sha256"], zone=zone
    ),
    "suspend": _reasoned(holding.suspend_mandate),
    "resume": _reasoned(holding.resume_mandate),
    "terminate": _reasoned(holding.terminate_mandate),
    "hand_over": lambda unit, actor, mandate_id, form, _zone: actions.hand_over(
        unit, actor, mandate_id, note=form["note"]
    ),
    "assess": _assess,
}
