"""The registration machine, its numbers and its completeness rules hold for every input."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.policy.inputs import DataGrade
from market.registry.rules import (
    ASSET,
    MANDATORY,
    AssetState,
    Description,
    completeness_faults,
    grade_faults,
    number_faults,
    valid_until,
)
from market.registry.tables import Asset
from storage.kernel.numbers import with_check
from storage.kernel.problem import WrongState
from tests.market.assets import COMPLETE, described

VERBS = sorted({verb for _, verb in ASSET.moves})


@given(st.lists(st.sampled_from(VERBS), max_size=30))
def test_whatever_is_tried_what_ended_stays_ended(verbs: list[str]) -> None:
    state, passed = AssetState.DRAFT, []
    for verb in verbs:
        ended = ASSET.ended(state)
        try:
            state = ASSET.after(state, verb)
        except WrongState:
            continue
        assert not ended
        passed.append(verb)
    if state is AssetState.REGISTERED:
        assert "register" in passed
        assert "review" in passed
        assert "accept" in passed
        assert "submit" in passed


def test_every_field_of_a_description_is_kept() -> None:
    assert set(Description.model_fields) <= set(Asset.model_fields)


def test_the_complete_example_has_no_fault() -> None:
    assert completeness_faults(described(), files=1, evidence=1) == []


@given(st.sets(st.sampled_from(sorted(MANDATORY)), min_size=1))
def test_each_missing_field_is_named(missing: set[str]) -> None:
    said = Description(**{name: value for name, value in COMPLETE.items() if name not in missing})
    assert missing <= {fault.field for fault in completeness_faults(said, files=1, evidence=1)}


@given(st.sampled_from(list(DataGrade)), st.booleans(), st.booleans())
def test_the_grade_floors_hold(grade: DataGrade, pi: bool, spi: bool) -> None:
    refused = bool(grade_faults(described(grade=grade, contains_pi=pi or spi, contains_spi=spi)))
    low = (pi and grade is DataGrade.G1) or (spi and grade in {DataGrade.G1, DataGrade.G2, DataGrade.G3})
    assert refused == (low or grade is DataGrade.CORE)


@given(st.integers(1, 999_999), st.integers(0, 20), st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
def test_one_wrong_character_in_a_number_is_noticed(sequence: int, place: int, char: str) -> None:
    number = with_check(f"SG-370200-R-2026-{sequence:06d}")
    assert number_faults(number) == []
    changed = number[:place] + char + number[place + 1 :]
    if changed != number:
        assert number_faults(changed)


def test_dependent_answers_are_asked_for() -> None:
    said = described(share_type="2", open_attr="K", contains_pi=True, grade="G2", area="37", industry="x")
    rules = {fault.rule for fault in completeness_faults(said, files=1, evidence=1)}
    assert rules == {"share.condition", "open.condition", "pi.basis", "area.code", "industry.code"}


@pytest.mark.parametrize(
    ("basis", "rules"),
    [
        ("", {"share.law"}),
        ("内部数据，不宜共享", {"share.law"}),
        ("《统计法》", {"share.law"}),
        ("《统计法》第九条", set()),
        ("依据《数据安全法》\n第 21 条，不予共享", set()),
        ("依据《数据安全法》\n第21条，不予共享", set()),
    ],
)
def test_who_does_not_share_names_the_law_and_its_article(basis: str, rules: set[str]) -> None:
    said = described(share_type="3", share_condition=basis)
    assert {fault.rule for fault in completeness_faults(said, files=1, evidence=1)} == rules


def test_closed_public_data_says_why() -> None:
    for supply, rules in (("public", {"open.reason"}), ("enterprise", set())):
        said = described(open_attr="N", supply=supply)
        assert {fault.rule for fault in completeness_faults(said, files=1, evidence=1)} == rules
        told = described(open_attr="N", supply=supply, open_condition="《保守国家秘密法》第九条")
        assert not completeness_faults(told, files=1, evidence=1)


def test_a_registration_holds_three_civil_years() -> None:
    leap = datetime(2028, 2, 28, 16, 30, tzinfo=UTC)  # 29 February in Qingdao
    assert valid_until(leap).isoformat() == "2031-03-01T00:30:00+08:00"
