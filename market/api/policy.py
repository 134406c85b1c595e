"""The line between public-good and commercial: ask it, read its rules, keep them, and look at what was decided."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from market.http.who import HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from market.policy import actions, queries
from market.policy.engine import Outcome
from market.policy.explain import Flip, flips
from market.policy.inputs import TERMS, Inputs
from market.policy.packs import Pack
from market.policy.queries import InForce
from storage.kernel.problem import invalid

router = APIRouter(prefix="/policy", tags=["policy"])
LOOK = allow(
    Permission.TIER_REVIEW, Permission.LISTING_APPROVE, Permission.ORDER_APPROVE, Permission.JOURNAL_READ
)


class Question(BaseModel, extra="forbid"):
    inputs: dict[str, Any] = Field(
        description="判定要素 the facts by name; what is left out is unknown",
        examples=[{"supply": "public", "open_attr": "U", "product_kind": "raw_open", "price_fen": 0}],
    )


class FlipView(BaseModel):
    term: str
    before: Any
    after: Any
    decision: str
    tier: str | None
    rule_ids: list[str]


class Explanation(BaseModel):
    inputs: dict[str, Any]
    outcome: dict[str, Any]
    would_change: list[FlipView]
    pack_version: str
    pack_sha256: str
    switched_off: list[str]


class Kept(Explanation):
    id: str
    subject: str
    moment: str
    by: str
    at: datetime
    replays: bool = Field(description="重演一致 decided again under its own pack: the same outcome")


class TermView(BaseModel):
    name: str
    words: dict[str, str]
    values: list[str]
    strictest: Any


class RuleView(BaseModel):
    key: str
    id: str
    phase: str
    kind: str
    switched_off: bool
    words: dict[str, str]
    sources: list[dict[str, str]]
    remedy: dict[str, str]


class RulesView(BaseModel):
    version: str
    title: dict[str, str]
    sha256: str
    text: str
    rules: list[RuleView]
    terms: list[TermView]
    versions: list[str]


class Adoption(BaseModel, extra="forbid"):
    text: str = Field(max_length=300_000, description="规则包全文（YAML） the whole pack")
    reason: str = Field(max_length=500)


class Switching(BaseModel, extra="forbid"):
    off: bool
    reason: str = Field(max_length=500)


class SwitchView(BaseModel):
    rule: str
    off: bool
    by: str
    at: datetime


class PackView(BaseModel, from_attributes=True):
    version: str
    sha256: str
    adopted_at: datetime


def facts_in(plain: dict[str, Any]) -> Inputs:
    """The facts a caller says. Raises Invalid naming the first that is unknown or has no such value."""
    try:
        return Inputs.of(plain)
    except ValueError as error:
        name = str(error)
        known = ", ".join(TERMS[name].values()) if name in TERMS and TERMS[name].kind else ""
        raise invalid(
            f"inputs.{name}"[:80],
            "term.value" if name in TERMS else "term.unknown",
            f"要素不存在或取值不正确。{known}",
            f"No such term, or no such value. {known}".strip(),
        ) from None


def explained(rules: InForce, given: Inputs, outcome: Outcome | None = None) -> Explanation:
    """解释. Facts, outcome, and every single change of a fact that would change it."""
    return Explanation(
        inputs=given.canonical(),
        outcome=(outcome or rules.decide(given)).document(),
        would_change=[_flip(flip) for flip in flips(given, rules.pack, rules.off)],
        pack_version=rules.pack.version,
        pack_sha256=rules.pack.sha256,
        switched_off=sorted(rules.off),
    )


def _flip(flip: Flip) -> FlipView:
    plain = {
        side: Inputs(**{flip.term.name: value}).canonical()[flip.term.name]
        for side, value in (("before", flip.before), ("after", flip.after))
    }
    return FlipView(
        term=flip.term.name,
        before=plain["before"],
        after=plain["after"],
        decision=str(flip.outcome.decision),
        tier=flip.outcome.tier and str(flip.outcome.tier),
        rule_ids=list(flip.outcome.rule_ids),
    )


@router.post("/explain")
def explain(house: HouseDep, body: Question) -> Explanation:
    """解释 · Which side of the line, at what price, by which rules, and what would change it."""
    given = facts_in(body.inputs)
    with house.store.view() as view:
        rules = queries.in_force(view)
    return explained(rules, given)


@router.get("/rules")
def rules(house: HouseDep) -> RulesView:
    """规则包 · The rules in force, with their sources, switches and declared terms."""
    with house.store.view() as view:
        found = queries.in_force(view)
        versions = [row.version for row in queries.versions(view)]
    return RulesView(
        version=found.pack.version,
        title=found.pack.title.both(),
        sha256=found.pack.sha256,
        text=found.pack.text,
        rules=_rules(found.pack, found.off),
        terms=[
            TermView(
                name=term.name,
                words=term.words.both(),
                values=[
                    str(value).lower() if isinstance(value, bool) else str(value) for value in term.values()
                ],
                strictest=Inputs(**{term.name: term.strictest}).canonical()[term.name],
            )
            for term in TERMS.values()
        ],
        versions=versions,
    )


def _rules(pack: Pack, off: frozenset[str]) -> list[RuleView]:
    return [
        RuleView(
            key=rule.key,
            id=rule.id,
            phase=str(rule.phase),
            kind=str(rule.kind),
            switched_off=rule.id in off,
            words=rule.words.both(),
            sources=[source.both() for source in rule.sources],
            remedy=rule.remedy.both(),
        )
        for rule in pack.rules
    ]


@router.post("/packs", status_code=201, dependencies=[allow(Permission.RULES_KEEP)])
def adopt(work: Work, body: Adoption) -> PackView:
    """采用规则包 · Put another version in force; a faulty one is refused with its line, and nothing changes."""
    return work.once(
        PackView,
        lambda unit: PackView.model_validate(
            actions.adopt_pack(unit, work.actor, text=body.text, reason=body.reason)
        ),
    )


@router.post("/rules/{rule}/switch", dependencies=[allow(Permission.RULES_KEEP)])
def switch(work: Work, rule: str, body: Switching) -> SwitchView:
    """开关规则 · Switch a design rule off or on; legal ones cannot be."""
    return work.once(
        SwitchView,
        lambda unit: SwitchView.model_validate(
            actions.switch_rule(unit, work.actor, rule, off=body.off, reason=body.reason),
            from_attributes=True,
        ),
    )


@router.get("/decisions/{decision_id}", dependencies=[LOOK])
def decision(house: HouseDep, decision_id: str) -> Kept:
    """分界判定 · One decision as it was made, decided again under its own pack, and what would have changed it."""
    with house.store.view() as view:
        row = queries.decision(view, decision_id)
        _again, same = queries.replayed(view, row)
        rules = InForce(queries.pack(view, row.pack_version), frozenset(row.switched_off))
    told = explained(rules, Inputs.of(row.inputs))
    return Kept(
        **(told.model_dump() | {"outcome": row.outcome}),
        id=row.id,
        subject=row.subject,
        moment=row.moment,
        by=row.by,
        at=row.at,
        replays=same,
    )


@router.get("/decisions", dependencies=[LOOK])
def decisions(house: HouseDep, subject: str) -> list[dict[str, Any]]:
    """分界判定 · Everything decided about one listing or order, oldest first."""
    with house.store.view() as view:
        return [
            {
                "id": row.id,
                "moment": row.moment,
                "at": row.at.isoformat(),
                "purpose": row.inputs.get("purpose"),
                **row.outcome,
            }
            for row in queries.decisions(view, subject[:80])
        ]
