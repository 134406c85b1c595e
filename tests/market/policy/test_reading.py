"""A rule pack is read wholly or refused with its line; nothing in it is executed."""

import pytest

from market.policy.conditions import Above, All, Condition, Not, OneOf, Present, Some
from market.policy.engine import decide
from market.policy.packs import Charge, Decision, Phase, differences
from market.policy.problems import PackRefused
from market.policy.reading import MAX_BYTES, MAX_RULES, built_in, built_in_text, read
from tests.market.policy.cases import OPEN, facts, sold

TEXT = built_in_text()
LINES = TEXT.splitlines()


def line_of(words: str) -> int:
    return next(number for number, line in enumerate(LINES, 1) if words in line)


def refused(text: str) -> PackRefused:
    with pytest.raises(PackRefused) as refusal:
        read(text)
    assert refusal.value.detail is not None
    return refusal.value


def test_the_pack_that_ships_holds_every_rule() -> None:
    pack = built_in()
    assert {rule.id for rule in pack.rules} == {f"T{number:02d}" for number in range(1, 27)}
    assert pack.design() == {"T11", "T13", "T17", "T18", "T20", "T24", "T25", "T26"}
    assert not pack.design() & pack.legal()
    routes = list(dict.fromkeys(rule.id for rule in pack.rules if rule.phase == "route"))
    assert routes == ["T10", "T11", "T12", "T13", "T14", "T17", "T16", "T15", "T21", "T18", "T19", "T26"]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("grade: CORE", "grad: CORE", "unknown term grad"),
        ("grade: CORE", "grade: KORE", "unknown value KORE"),
        ("foreign: true", "foreign: maybe", "neither true nor false"),
        ("secrecy: [pending, refused]", "secrecy: [waiting]", "unknown value waiting"),
        ("sources: [DSL 21, NDR 31]", "sources: [XYZ 21]", "unknown source XYZ"),
        ("sources: [DSL 21, NDR 31]", "sources: []", "names a source"),
        ("payee_department: true, price_fen: { above: 0 }", "price_fen: { above: grade }", "not an amount"),
        ("payee_department: true, price_fen: { above: 0 }", "price_fen: { above: -1 }", "whole number"),
        ("when: { grade: CORE }", "when: {}", "condition is empty"),
        ("when: { grade: CORE }", "when: { grade: CORE, grade: G1 }", "stands twice"),
        ("then: { decision: deny }", "then: { decision: allow }", "denies"),
        ("then: { decision: deny }", "then: { deny: all }", "unknown field deny"),
        ("price_rule: zero, license_class: open", "price_rule: market, license_class: open", "public good is free"),
        ('version: "2026.1"', 'version: "new"', "a version looks like"),
        ("part: core", "part: secrecy", "stands twice"),
        ("    kind: legal\n    when: { grade: CORE }", "    kind: design\n    when: { grade: CORE }", "differ in kind"),
        ("    remedy: { zh: ", "    remedi: { zh: ", "unknown field remedi"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(before: str, after: str, reason: str) -> None:
    assert before in TEXT
    refusal = refused(TEXT.replace(before, after, 1))
    assert reason in refusal.members["reason"]["en"]
    assert refusal.members["reason"]["zh"]
    assert refusal.members["line"] >= 1


MODIFIER = "then: { tier: commercial, decision: hold, waits_for: free_twin }"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (MODIFIER, "then: { tier: commercial, decision: allow }", "never allows"),
        ("price_rule: zero, license_class: open, delivery", "price_rule: zero, delivery", "an allowance names"),
        ("tier: public_good, price_rule: zero, license_class: open, delivery", "price_rule: zero, license_class: open, delivery", "an allowance names"),
        ("approvals: 0 }", "approvals: 3 }", "whole number from 0 to 2"),
        ("    sources: [DSL 21, NDR 31]\n", "", "sources is missing"),
        ("when: { grade: CORE }", "when: { any: [] }", "condition is empty"),
        ("id: T01\n", "id: T1\n", "a rule's id"),
        ("part: core", "part: Core", "a part is named"),
    ],
)  # fmt: skip
def test_what_would_have_no_meaning_is_refused(before: str, after: str, reason: str) -> None:
    assert before in TEXT
    assert reason in refused(TEXT.replace(before, after, 1)).members["reason"]["en"]


def test_too_many_rules_are_refused() -> None:
    last = TEXT[TEXT.index("  - id: T24") :].rstrip() + "\n"
    many = "".join(last.replace("- id: T24\n", f"- id: T24\n    part: p{n}\n") for n in range(MAX_RULES))
    assert f"1 to {MAX_RULES} rules" in refused(TEXT.rstrip() + "\n" + many).members["reason"]["en"]


def condition(text: str) -> Condition:
    """What a pack whose first rule has this condition says."""
    return read(TEXT.replace("when: { grade: CORE }", f"when: {text}", 1)).rules[0].when


def test_conditions_are_read_as_they_are_written() -> None:
    foreign, bonded = OneOf("foreign", (True,)), OneOf("bonded", (False,))
    assert condition("{ any: [{ foreign: true }, { bonded: false }] }") == Some((foreign, bonded))
    assert condition("{ all: [{ foreign: true }, { bonded: false }] }") == All((foreign, bonded))
    assert condition("{ foreign: true, bonded: false }") == All((foreign, bonded))
    assert condition("{ not: { foreign: true } }") == Not(foreign)
    assert condition("{ negative_hits: { present: true } }") == Present("negative_hits")
    assert condition("{ negative_hits: { present: false } }") == Not(Present("negative_hits"))
    assert condition("{ always: false }") == Some(())
    assert condition("{ price_fen: { above: 7 } }") == Above("price_fen", 7)
    assert condition("{ price_fen: { above: ceiling_fen } }") == Above("price_fen", other="ceiling_fen")


def test_a_price_is_refused_where_a_rule_does_not_waive_it() -> None:
    charges = {rule.key: rule.then.charge for rule in built_in().rules if rule.phase is Phase.ROUTE}
    waived = {key for key, charge in charges.items() if charge is Charge.WAIVE}
    assert waived == {"T11", "T12", "T14"}


def test_the_line_is_the_right_one() -> None:
    assert refused(TEXT.replace("grade: CORE", "grad: CORE", 1)).members["line"] == line_of("grade: CORE")
    rules = {rule.key: rule.line for rule in built_in().rules}
    assert rules["T01/core"] == line_of("- id: T01")
    assert rules["T02"] == line_of("- id: T02")
    broken = TEXT.replace("when: { grade: CORE }", "when: { grade: CORE", 1)
    assert refused(broken).members["line"] in range(line_of("grade: CORE"), line_of("grade: CORE") + 3)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "a", "version: 1", "\x00", "a: &a [*a]", "x: !!python/object/apply:os.system ['true']", "{" * 5000],
)  # fmt: skip
def test_what_is_not_a_pack_is_refused(text: str) -> None:
    refused(text)


def test_a_huge_text_and_a_bomb_are_refused() -> None:
    assert "larger" in refused(" " * (MAX_BYTES + 1)).members["reason"]["en"]
    assert "aliases" in refused("a: &a [1]\nb: [*a, *a]\n").members["reason"]["en"]
    deep = "{ not: " * 40 + "{ grade: CORE }" + " }" * 40
    assert "nested" in refused(TEXT.replace("{ grade: CORE }", deep, 1)).members["reason"]["en"]


def test_two_versions_are_compared_rule_by_rule() -> None:
    text = TEXT.replace('version: "2026.1"', 'version: "2026.2"').replace(
        "approvals: 0 }", "approvals: 1 }", 1
    )
    [change] = differences(built_in(), read(text))
    assert (change.key, change.ways) == ("T10", ("then",))


def test_what_a_pack_says_is_what_is_decided() -> None:
    stricter = read(TEXT.replace("grade: CORE", "grade: [IMPORTANT, CORE]", 1))
    compute = sold(grade="IMPORTANT", risk_assessment=True, delivery=["compute"])
    assert decide(compute, built_in()).decision is Decision.ALLOW
    assert decide(compute, stricter).decision is Decision.DENY
    assert decide(OPEN, stricter).decision is Decision.ALLOW
    assert decide(
        facts(purpose="emergency", emergency_declared=True, open_attr="K"), built_in()
    ).rule_ids == ("T11",)
