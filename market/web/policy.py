"""The line between free and paid, for everybody to try; and the rule pack in force, for those who keep it."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from contracts.terms import DeliveryMode
from market.http.render import page
from market.http.who import ActorDep, HouseDep, VisitorDep, allow
from market.identity.rules import Permission
from market.policy import actions, queries
from market.policy.explain import SOME_ENTRY, flips
from market.policy.inputs import TERMS, Inputs, Shape, Term
from market.policy.packs import Pack, Phase, differences
from market.policy.reading import built_in
from market.trading import purposes
from market.web.forms import GUARDED, Form, FormDep, again, leave
from storage.kernel.problem import NotFound, invalid
from storage.kernel.words import Worded, Words
from storage.unit import View

router = APIRouter(prefix="/policy", dependencies=GUARDED)
KEEP = allow(Permission.RULES_KEEP)
LOOK = allow(
    Permission.TIER_REVIEW, Permission.LISTING_APPROVE, Permission.ORDER_APPROVE, Permission.JOURNAL_READ
)
# What one asks first; the other facts are usual unless said otherwise.
LEADING = ("supply", "open_attr", "product_kind", "purpose", "price_fen", "grade", "pi", "delivery")
USUAL: dict[str, Any] = {
    "supply": "public", "purpose": "industry", "buyer_kind": "enterprise", "open_attr": "U",
    "product_kind": "raw_open", "delivery": ["file", "api"], "price_fen": 0, "grade": "G1", "pi": "none",
    "reid_level": "4", "value_added": False, "registered": True, "source_proven": True, "rights_proven": True,
    "disputed": False, "secrecy": "passed", "negative_hits": [], "provider_verified": True, "buyer_verified": True,
    "payee_department": False, "mandate": False, "ceiling": "none", "ceiling_fen": 0, "risk_assessment": False,
    "consent": False, "pia": False, "foreign": False, "export_gate": False, "bonded": False,
    "permit": "not_needed", "purpose_evidence": "missing", "emergency_declared": False, "named_purpose": False,
    "free_twin": "none", "open_terms": False, "eligible": False, "off_purpose": False,
}  # fmt: skip
YES, NO, UNKNOWN = Words("是", "yes"), Words("否", "no"), Words("未知", "unknown")


@router.get("/explain")
def explain(request: Request, house: HouseDep, form: FormDep) -> Response:
    """公益与商业分界 · Name the facts, read the outcome, its rules, and what would change it."""
    asked = bool(form["asked"])
    given = _given(form) if asked else Inputs.of(USUAL)
    with house.store.view() as view:
        rules = queries.in_force(view)
    outcome = rules.decide(given)
    return page(
        request,
        "policy_explain.html",
        form=form.filled(**_filled(given)),
        leading=[_asked(TERMS[name]) for name in LEADING],
        others=[_asked(term) for term in TERMS.values() if term.name not in LEADING],
        outcome=outcome,
        given=[(term, shown(term, getattr(given, term.name))) for term in TERMS.values()],
        flips=[(flip, shown(flip.term, flip.after)) for flip in flips(given, rules.pack, rules.off)],
        pack=rules.pack,
    )


@router.get("/decisions/{decision_id}", dependencies=[LOOK])
def decision(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, decision_id: str) -> Response:
    """分界判定 · One decision as it was made, and decided again under its own pack."""
    with house.store.view() as view:
        row = queries.decision(view, decision_id)
        outcome, same = queries.replayed(view, row)
        pack = queries.pack(view, row.pack_version)
        findings = queries.findings(view, row.subject)
    given = Inputs.of(row.inputs)
    return page(
        request,
        "policy_decision.html",
        form=form,
        findable=[_asked(TERMS[name]) for name in sorted(actions.FINDABLE)],
        findings=findings,
        reviewing=actor.may(Permission.TIER_REVIEW) and row.subject.startswith("order:"),
        row=row,
        same=same,
        outcome=outcome,
        given=[(term, shown(term, getattr(given, term.name))) for term in TERMS.values()],
        flips=[(flip, shown(flip.term, flip.after)) for flip in flips(given, pack, row.switched_off)],
        pack=pack,
    )


@router.post("/decisions/{decision_id}", dependencies=[allow(Permission.TIER_REVIEW)])
@again(decision)
def establish(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, decision_id: str
) -> Response:
    """复核认定 · Establish the fact an order's manual review turns on."""
    with house.store.view() as view:
        subject = queries.decision(view, decision_id).subject
    kind, _, order_id = subject.partition(":")
    if kind != "order":
        raise NotFound(order=order_id)
    with house.store.unit(actor.id, actor.org) as unit:
        purposes.establish(
            unit, actor, order_id, term=form["term"], value=form["value"], reason=form["reason"]
        )
    return leave(f"/policy/decisions/{decision_id}", done="established")


@router.get("/rules")
def rules(request: Request, house: HouseDep, caller: VisitorDep, form: FormDep) -> Response:
    """分界规则包 · The rules in force with their sources; versions, differences and switches."""
    with house.store.view() as view:
        found = queries.in_force(view)
        versions = queries.versions(view)
        against = _against(view, form["against"], found.pack)
        switches = queries.switches(view)
    keeper = caller.actor is not None and caller.actor.may(Permission.RULES_KEEP)
    return page(
        request,
        "policy_rules.html",
        form=form,
        pack=found.pack,
        off=found.off,
        phases=[(phase, found.pack.phase(phase)) for phase in Phase],
        versions=versions,
        shipped=built_in(),
        against=against,
        changes=differences(against, found.pack) if against else (),
        switches=switches,
        keeper=keeper,
    )


@router.post("/rules", dependencies=[KEEP])
@again(rules)
def adopt(request: Request, house: HouseDep, caller: VisitorDep, actor: ActorDep, form: FormDep) -> Response:
    """采用规则包 · Put another version in force, or learn the line that is wrong."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.adopt_pack(unit, actor, text=form.raw("text"), reason=form["reason"])
    return leave("/policy/rules", done="rules_adopted")


@router.post("/rules/{rule}", dependencies=[KEEP])
@again(rules)
def switch(
    request: Request, house: HouseDep, caller: VisitorDep, actor: ActorDep, form: FormDep, rule: str
) -> Response:
    """开关规则 · Switch a design rule off or on."""
    if form["position"] not in {"on", "off"}:
        raise invalid("position", "required", "请选择开或关。", "Choose on or off.")
    with house.store.unit(actor.id, actor.org) as unit:
        actions.switch_rule(unit, actor, rule, off=form["position"] == "off", reason=form["reason"])
    return leave("/policy/rules", done="rule_switched")


def shown(term: Term, value: Any) -> Words:
    """One fact's value in words."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, Worded):
        return value.words
    if term.shape is Shape.SET:
        modes = [mode for mode in DeliveryMode if mode in value]
        return Words(
            "、".join(mode.words.zh for mode in modes) or "—",
            ", ".join(mode.words.en for mode in modes) or "—",
        )
    if value == SOME_ENTRY:
        return Words("命中任一条目", "any entry of it")
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return Words(text or "—", text or "—")


def _against(view: View, version: str, present: Pack) -> Pack | None:
    return queries.pack(view, version) if version and version != present.version else None


def _given(form: Form) -> Inputs:
    """The facts of the form; an empty choice is unknown. Raises Invalid for what a fact cannot be."""
    plain: dict[str, Any] = {}
    for name, term in TERMS.items():
        value = form[name]
        if term.shape is Shape.SET:
            plain[name] = form.all(name)
        elif term.shape is Shape.NAMES:
            plain[name] = [value] if value else []
        elif not value:
            plain[name] = None
        elif term.shape is Shape.FLAG:
            plain[name] = {"true": True, "false": False}.get(value, value)
        elif term.shape is Shape.AMOUNT:
            digits = value.isascii() and value.isdigit() and len(value) < 16
            plain[name] = int(value) if digits else value
        else:
            plain[name] = value
    try:
        return Inputs.of(plain)
    except ValueError as error:
        raise invalid(str(error), "term.value", "取值不正确。", "No such value.") from None


def _filled(given: Inputs) -> dict[str, Any]:
    """The facts as a form's fields hold them."""
    return {name: _field(TERMS[name], value) for name, value in given.canonical().items()}


def _field(term: Term, plain: Any) -> str | list[str]:
    if term.shape is Shape.SET:
        return list(plain or ())
    if isinstance(plain, bool):
        return str(plain).lower()
    return ", ".join(plain) if isinstance(plain, list) else "" if plain is None else str(plain)


def _asked(term: Term) -> tuple[Term, list[tuple[str, Words]]]:
    """A term with the values a form offers for it."""
    if term.shape is Shape.FLAG:
        return term, [("true", YES), ("false", NO)]
    if term.kind is not None:
        return term, [(str(value), value.words) for value in term.kind]
    return term, []
