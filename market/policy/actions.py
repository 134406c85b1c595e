"""Adopt a pack, switch a design rule, establish a fact, and decide: each with its reason in the journal."""

from market.identity.problems import OwnDecision
from market.identity.rules import Actor, Permission
from market.policy import queries
from market.policy.engine import Outcome
from market.policy.floor import floor_faults
from market.policy.inputs import TERMS, Inputs
from market.policy.packs import Pack
from market.policy.problems import LegalRule, PackRefused, PackVersionTaken
from market.policy.reading import built_in, read
from market.policy.tables import Finding, RulePack, RuleSwitch, TierDecision
from storage.kernel import clock
from storage.kernel.canonical import digest
from storage.kernel.ids import new_id
from storage.kernel.problem import NotFound, invalid
from storage.unit import Unit

# What a person may establish in a manual review; everything else follows from records.
FINDABLE = frozenset({"purpose_evidence", "emergency_declared", "named_purpose", "value_added", "eligible"})


def adopt_pack(unit: Unit, actor: Actor, *, text: str, reason: str) -> RulePack:
    """采用规则包. From this commit on decisions are made under it; older ones keep their own.

    Raises Forbidden, Invalid (reason), PackRefused with the line, PackVersionTaken.
    """
    actor.require(Permission.RULES_KEEP)
    why = _reasoned(reason)
    pack = read(text)
    if faults := floor_faults(pack):
        raise PackRefused(faults[0], line=0, reason=faults[0].both(), all=[fault.both() for fault in faults])
    if pack.version == built_in().version or unit.session.get(RulePack, pack.version) is not None:
        raise PackVersionTaken(version=pack.version)
    before = queries.in_force(unit).pack
    row = RulePack(
        version=pack.version,
        sha256=pack.sha256,
        text=text,
        adopted_by=actor.id,
        adopted_at=clock.now(),
        reason=why,
    )
    unit.session.add(row)
    unit.session.flush()
    unit.record(
        "rules.adopted",
        f"rules:{pack.version}",
        before=before.version,
        sha256=pack.sha256,
        reason=why,
    )
    return row


def switch_rule(unit: Unit, actor: Actor, rule: str, *, off: bool, reason: str) -> RuleSwitch:
    """开关规则. Switch a design rule off or on again.

    Raises Forbidden, Invalid (reason), NotFound for no such rule, LegalRule.
    """
    actor.require(Permission.RULES_KEEP)
    why = _reasoned(reason)
    pack: Pack = queries.in_force(unit).pack
    if rule in pack.legal():
        raise LegalRule(rule=rule)
    if rule not in pack.design():
        raise NotFound(rule=rule)
    row = RuleSwitch(id=new_id("rsw"), rule=rule, off=off, by=actor.id, at=clock.now(), reason=why)
    unit.session.add(row)
    unit.session.flush()
    unit.record(
        "rule.switched", f"rules:{pack.version}", rule=rule, position="off" if off else "on", reason=why
    )
    return row


def establish(
    unit: Unit, actor: Actor, subject: str, *, term: str, value: str, reason: str, submitted_org: str
) -> Finding:
    """复核认定. A compliance officer establishes one fact that a manual review turned on.

    submitted_org: whose matter it is, so that nobody judges their own. Raises Forbidden, OwnDecision,
    Invalid for a term nobody may establish, a value it cannot have, or a reason too short.
    """
    actor.require(Permission.TIER_REVIEW)
    if actor.belongs_to(submitted_org):
        raise OwnDecision(subject=subject)
    why = _reasoned(reason)
    if term not in FINDABLE:
        raise invalid(
            "term",
            "term.findable",
            "该要素不由人工认定。",
            f"Only these are established by people: {', '.join(sorted(FINDABLE))}.",
        )
    try:
        TERMS[term].read(_typed(value))
    except ValueError:
        raise invalid("value", "term.value", "取值不正确。", "The term has no such value.") from None
    row = Finding(
        id=new_id("fnd"),
        subject=subject,
        term=term,
        value=value,
        by=actor.id,
        org=actor.org,
        at=clock.now(),
        reason=why,
    )
    unit.session.add(row)
    unit.session.flush()
    unit.record("tier.established", subject, finding=row.id, term=term, value=value, reason=why)
    return row


def judge(unit: Unit, subject: str, moment: str, given: Inputs, *, by: str) -> Outcome:
    """判定并留痕. Decide under the rules in force and keep the decision with everything it was made from."""
    rules = queries.in_force(unit)
    outcome = rules.decide(given)
    plain = given.canonical()
    row = TierDecision(
        id=new_id("tdc"),
        subject=subject,
        moment=moment,
        pack_version=rules.pack.version,
        pack_sha256=rules.pack.sha256,
        switched_off=sorted(rules.off),
        inputs=plain,
        inputs_sha256=digest(plain),
        decision=outcome.decision,
        outcome=outcome.document(),
        by=by,
        at=clock.now(),
    )
    unit.session.add(row)
    unit.session.flush()
    unit.record(
        "tier.decided",
        subject,
        judgment=row.id,
        moment=moment,
        verdict=str(outcome.decision),
        tier=outcome.tier and str(outcome.tier),
        rules=list(outcome.rule_ids),
        rules_version=rules.pack.version,
        inputs=row.inputs_sha256,
    )
    return outcome


def _typed(value: str) -> object:
    return {"true": True, "false": False}.get(value, value)


def _reasoned(reason: str) -> str:
    if not 4 <= len(reason.strip()) <= 500:
        raise invalid(
            "reason", "reason.length", "请填写 4 至 500 字的理由。", "Give a reason of 4 to 500 characters."
        )
    return reason.strip()
