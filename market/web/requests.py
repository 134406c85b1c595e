"""What one's own organization asked for: every decision with its reason, and what can be done next."""

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import Response

from market import casework
from market.approvals import actions, queries
from market.approvals.procedures import PROCEDURES
from market.approvals.rules import CaseKind, CaseState
from market.approvals.tables import Case
from market.audit.queries import history
from market.catalogue.queries import titles
from market.house import House
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.rules import Actor, Permission
from market.trading import revocation
from market.web.forms import GUARDED, Form, FormDep, again, leave, once
from market.web.words import KINDS
from storage.kernel import clock
from storage.unit import Unit

ASK = tuple(dict.fromkeys(each for procedure in PROCEDURES.values() for each in procedure.ask))
router = APIRouter(prefix="/requests", dependencies=[*GUARDED, allow(*ASK)])
SHOWN = 50


@router.get("")
def requests(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """我方送审 · What the organization asked for, newest first."""
    with house.store.view() as view:
        rows = queries.submitted_by_org(view, actor, before=form["before"] or None, limit=SHOWN)
        about = {row.id: casework.MATTERS[row.kind].product(view, row) for row in rows}
        names = titles(view, {product for product in about.values() if product})
    return page(
        request,
        "requests.html",
        rows=rows,
        names={case_id: names[product] for case_id, product in about.items() if product in names},
        limit=SHOWN,
        now=clock.now(),
    )


@router.get("/{case_id}")
def asked(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, case_id: str) -> Response:
    """我方送审 · One request: where it stands, every decision with its reason, and the next step. Raises NotFound."""
    with house.store.view() as view:
        case = queries.own_case(view, actor, case_id)
        matter = casework.MATTERS[case.kind]
        product = matter.product(view, case)
        names = titles(view, {product} if product else set())
        commands = queries.commands(view, actor, case)
        decisions = queries.decisions(view, case.id)
        story = history(view, f"case:{case.id}")
        correct = matter.correct(view, case)
    return page(
        request,
        "request.html",
        form=form,
        case=case,
        title=names.get(product) if product else None,
        commands=commands,
        decisions=decisions,
        remarks=[entry for entry in story if entry.kind == "case.commented"],
        kinds=KINDS,
        correct=correct,
        here_again=case.kind is CaseKind.REVOCATION and case.state is CaseState.RETURNED,
    )


def _do(
    request: Request, house: House, actor: Actor, form: Form, act: Callable[[Unit], Case], done: str
) -> Response:
    case_id = once(request, house, actor, form, lambda unit: act(unit).id)
    return leave(f"/requests/{case_id}", done=done)


@router.post("/{case_id}/withdrawal")
@again(asked)
def withdraw(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, case_id: str) -> Response:
    """撤回 · Take the request back."""
    zone, reason = house.settings.timezone, form["reason"]
    return _do(
        request,
        house,
        actor,
        form,
        lambda unit: casework.withdraw_case(unit, actor, case_id, reason=reason, zone=zone),
        "request_withdrawn",
    )


@router.post("/{case_id}/comments")
@again(asked)
def comment(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, case_id: str) -> Response:
    """留言 · Answer the approvers."""
    text = form["text"]
    return _do(
        request, house, actor, form, lambda unit: actions.comment(unit, actor, case_id, text=text), "said"
    )


@router.post("/{case_id}/correction", dependencies=[allow(Permission.OFFER_ACCEPT)])
@again(asked)
def ask_again(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, case_id: str) -> Response:
    """补正再送 · Submit a returned request to revoke again, with better grounds."""
    zone, note = house.settings.timezone, form["note"]
    return _do(
        request,
        house,
        actor,
        form,
        lambda unit: revocation.ask_again(unit, actor, case_id, note=note, zone=zone),
        "resubmitted",
    )
