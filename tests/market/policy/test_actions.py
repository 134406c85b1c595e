"""Packs are adopted, rules switched and facts established with a reason, by those who may; old decisions replay."""

import pytest
from sqlmodel import select

from market.identity.problems import Forbidden, OwnDecision
from market.identity.rules import Actor
from market.policy import actions, queries
from market.policy.engine import decide
from market.policy.floor import PROBES, SOLD, floor_faults
from market.policy.inputs import Inputs
from market.policy.packs import Decision
from market.policy.problems import LegalRule, PackRefused, PackVersionTaken
from market.policy.reading import built_in, built_in_text
from market.policy.tables import TierDecision
from storage.journal import Entry
from storage.kernel.problem import Invalid, NotFound
from storage.unit import Store
from tests.market.people import APPROVER, AUDITOR, COMPLIANCE, PROVIDER
from tests.market.policy.cases import facts, sold

REASON = "按新文件调整规则"


def next_pack(*changes: tuple[str, str], version: str = "2026.2") -> str:
    text = built_in_text().replace('version: "2026.1"', f'version: "{version}"', 1)
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    return text


def adopted(store: Store, text: str) -> None:
    with store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        actions.adopt_pack(unit, COMPLIANCE, text=text, reason=REASON)


def judged(store: Store, given: Inputs) -> Decision:
    with store.unit("system:test") as unit:
        return actions.judge(unit, "listing:lst_1", "submitted", given, by="system:test").decision


def test_the_shipped_pack_is_in_force_until_another_is_adopted(store: Store) -> None:
    with store.view() as view:
        assert queries.in_force(view).pack == built_in()
    adopted(
        store,
        next_pack(
            (
                "license_class: open, delivery: [file, api], approvals: 0",
                "license_class: open, delivery: [file], approvals: 1",
            )
        ),
    )
    with store.view() as view:
        found = queries.in_force(view)
        [entry] = view.session.exec(select(Entry).where(Entry.kind == "rules.adopted")).all()
    assert found.pack.version == "2026.2"
    assert (entry.data["before"], entry.data["reason"]) == ("2026.1", REASON)
    assert (entry.actor, found.decide(facts()).approvals) == (COMPLIANCE.id, 1)


def test_old_decisions_replay_under_their_own_pack_and_switches(store: Store) -> None:
    case = facts(purpose="emergency", emergency_declared=True, open_attr="K")
    assert judged(store, case) is Decision.ALLOW
    with store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        actions.switch_rule(unit, COMPLIANCE, "T11", off=True, reason=REASON)
    assert judged(store, case) is Decision.MANUAL
    adopted(store, next_pack(("when: { grade: CORE }", "when: { grade: [IMPORTANT, CORE] }")))
    with store.view() as view:
        first, second = queries.decisions(view, "listing:lst_1")
        assert [row.switched_off for row in (first, second)] == [[], ["T11"]]
        for row in (first, second):
            outcome, same = queries.replayed(view, row)
            assert same
            assert outcome.document() == row.outcome
        assert queries.decision(view, first.id).pack_version == "2026.1"
        with pytest.raises(NotFound):
            queries.decision(view, "tdc_none")


def test_a_decision_is_never_changed(store: Store) -> None:
    judged(store, facts())
    with pytest.raises(RuntimeError, match="immutable"), store.unit("system:test") as unit:
        [row] = queries.decisions(unit, "listing:lst_1")
        row.pack_version = "2030.1"
        unit.session.add(row)
        unit.session.flush()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ((("grade: CORE", "grad: CORE"),), "unknown term"),
        ((("  - id: T08\n", "  - id: T58\n"),), "legal rule T08 is missing"),
        ((("when: { grade: CORE }", "when: { grade: CORE, foreign: true }"),), "core data"),
        ((("payee_department: true, price_fen: { above: 0 }", "payee_department: true, price_fen: { above: 1000 }"),), "charges"),
        ((("price_rule: guided", "price_rule: market"),), "above the ceiling"),
        ((("pi: [pi, spi]", "pi: [pi]"),), "personal information without a basis"),
        ((("secrecy: [pending, refused]", "secrecy: [pending]"),), "failed the secrecy review"),
        ((("when: { source_proven: false }", "when: { source_proven: false, foreign: true }"),), "without a source"),
        ((("when: { rights_proven: false }", "when: { rights_proven: false, foreign: true }"),), "without the right to supply"),
        ((("when: { registered: false }", "when: { registered: false, foreign: true }"),), "unregistered data"),
        ((("when: { provider_verified: false }", "when: { provider_verified: false, foreign: true }"),), "unverified provider"),
        ((("permit: missing, price_fen: { above: 0 }", "permit: missing, price_fen: { above: 100 }"),), "sector permit"),
        ((("      mandate: true\n      purpose: [industry, sector, internal_business, resale]\n      value_added: true\n      ceiling: [in_force, trial]\n    then: { decision: allow, tier: commercial, price_rule: guided", "      purpose: [industry, sector, internal_business, resale]\n      value_added: true\n      ceiling: [in_force, trial]\n    then: { decision: allow, tier: commercial, price_rule: guided"),), "without mandate"),
    ],
)  # fmt: skip
def test_a_pack_below_the_floor_is_refused_and_the_old_one_stays(
    store: Store, changes: tuple[tuple[str, str], ...], told: str
) -> None:
    with pytest.raises(PackRefused) as refusal:
        adopted(store, next_pack(*changes))
    assert told in str(refusal.value.members)
    with store.view() as view:
        assert queries.in_force(view).pack.version == "2026.1"
        assert queries.versions(view) == []


def test_the_floor_probes_every_law() -> None:
    """Each case passes but for one thing; together they stand on every denial that the law knows."""
    assert decide(Inputs.of(SOLD), built_in()).decision is Decision.ALLOW
    stopped = {
        rule for changes, _ in PROBES for rule in decide(Inputs.of(SOLD | changes), built_in()).rule_ids
    }
    assert stopped >= {"T01", "T02", "T03", "T04", "T05", "T06", "T07", "T08", "T09", "T10", "T15", "T16"}
    assert floor_faults(built_in()) == []


@pytest.mark.parametrize("term", ["purpose_evidence", "eligible"])
def test_compliance_establishes_what_people_may_and_never_in_its_own_matter(store: Store, term: str) -> None:
    value = {"purpose_evidence": "proven", "eligible": "true"}[term]
    said = {"term": term, "value": value, "reason": REASON, "submitted_org": "pty_buyer"}

    def establish(actor: Actor, **changes: str) -> None:
        with store.unit(actor.id, actor.org) as unit:
            actions.establish(unit, actor, "order:ord_1", **(said | changes))

    for actor in (PROVIDER, APPROVER, AUDITOR):
        with pytest.raises(Forbidden):
            establish(actor)
    with pytest.raises(OwnDecision):
        establish(COMPLIANCE, submitted_org=COMPLIANCE.org or "")
    for wrong in ({"term": "grade", "value": "G1"}, {"value": "perhaps"}, {"reason": "好"}):
        with pytest.raises(Invalid):
            establish(COMPLIANCE, **wrong)
    establish(COMPLIANCE)
    with store.view() as view:
        assert set(queries.found(view, "order:ord_1")) == {term}


def test_a_replay_notices_another_text_under_the_same_version(store: Store) -> None:
    judged(store, facts())
    with store.unit("system:test") as unit:
        [row] = queries.decisions(unit, "listing:lst_1")
        fields = row.model_dump() | {"id": "tdc_other", "pack_sha256": "0" * 64}
        unit.session.add(TierDecision(**fields))
        unit.record("tier.decided", "listing:lst_1")
    with store.view() as view:
        told = {row.id: queries.replayed(view, row)[1] for row in queries.decisions(view, "listing:lst_1")}
    assert sorted(told.values()) == [False, True]
    assert told["tdc_other"] is False


def test_the_newest_pack_is_in_force(store: Store) -> None:
    for version in ("2026.2", "2026.3"):
        adopted(store, next_pack(version=version))
    with store.view() as view:
        assert queries.in_force(view).pack.version == "2026.3"
        assert [row.version for row in queries.versions(view)] == ["2026.3", "2026.2"]


def test_a_version_names_one_text_for_ever(store: Store) -> None:
    with pytest.raises(PackVersionTaken):
        adopted(store, built_in_text())
    adopted(store, next_pack())
    with pytest.raises(PackVersionTaken):
        adopted(store, next_pack(("approvals: 0 }", "approvals: 1 }")))


def test_only_those_who_may_keep_the_rules_and_only_design_rules_switch(store: Store) -> None:
    for actor in (PROVIDER, APPROVER, AUDITOR):
        with pytest.raises(Forbidden), store.unit(actor.id, actor.org) as unit:
            actions.switch_rule(unit, actor, "T11", off=True, reason=REASON)
        with pytest.raises(Forbidden), store.unit(actor.id, actor.org) as unit:
            actions.adopt_pack(unit, actor, text=next_pack(), reason=REASON)
    for rule, problem in (("T01", LegalRule), ("T99", NotFound)):
        with pytest.raises(problem), store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
            actions.switch_rule(unit, COMPLIANCE, rule, off=True, reason=REASON)
    with pytest.raises(Invalid), store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        actions.switch_rule(unit, COMPLIANCE, "T11", off=True, reason="改")


def test_a_switch_goes_both_ways_and_stands_in_the_journal(store: Store) -> None:
    for off in (True, False):
        with store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
            actions.switch_rule(unit, COMPLIANCE, "T20", off=off, reason=REASON)
        with store.view() as view:
            assert queries.in_force(view).off == ({"T20"} if off else frozenset())
            waits = queries.in_force(view).decide(sold(free_twin="withdrawn")).decision
        assert waits is (Decision.ALLOW if off else Decision.HOLD)
    with store.view() as view:
        kept = view.session.exec(select(Entry).where(Entry.kind == "rule.switched")).all()
    assert [entry.data["position"] for entry in kept] == ["off", "on"]
