"""自动审批 Rules that approve what is small and known: listed on a page, each switched by a person with a reason."""

from market.approvals import queries
from market.approvals.rules import AUTO_RULES, AutoRule, Ground, reason_faults
from market.approvals.tables import Case, RuleSwitch
from market.identity.rules import Actor, Permission, Role
from storage.kernel import clock
from storage.kernel.problem import Invalid, NotFound
from storage.unit import Unit, View


def switch(unit: Unit, actor: Actor, code: str, *, on: bool, reason: str) -> RuleSwitch:
    """开关规则. Let a rule decide, or stop it; recorded with who and why. Raises Forbidden, NotFound, Invalid."""
    actor.require(Permission.CASE_RULES)
    if all(rule.code != code for rule in AUTO_RULES):
        raise NotFound(rule=code)
    if faults := reason_faults(reason):
        raise Invalid(*faults)
    row = unit.session.get(RuleSwitch, code, with_for_update=True)
    if row is None:
        row = RuleSwitch(code=code, on=on, by=actor.id, reason=reason.strip(), at=clock.now())
    row.on, row.by, row.reason, row.at = on, actor.id, reason.strip(), clock.now()
    unit.session.add(row)
    unit.session.flush()
    unit.record("rule.switched_on" if on else "rule.switched_off", f"rule:{code}", reason=row.reason)
    return row


def rule_for(view: View, case: Case, ground: Ground) -> AutoRule | None:
    """The first rule that is switched on and holds for this case as it stands now."""
    on = {code for code, row in queries.switches(view).items() if row.on}
    for rule in AUTO_RULES:
        if rule.code in on and rule.kind is case.kind and rule.holds(ground, case.needs):
            return rule
    return None


def hand_of(rule: AutoRule) -> Actor:
    """In whose name a rule decides: the rule's own, never a person's."""
    return Actor(f"system:rule:{rule.code}", roles=frozenset({Role.APPROVER}))
