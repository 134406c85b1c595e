"""What an entry must say, what a rule catches, and how versions differ."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.terms import DeliveryMode
from market.lists.matching import Declared, Rule, caught, hits, plain
from market.lists.rules import Change, ChangeKind, Condition, ListKind, differences, entry_faults
from market.policy.inputs import DataGrade, OpenAttr, PersonalInfo, SourceKind, SupplyKind
from tests.market.mandates_made import civil, negative, opened

TODAY = civil()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"law": ""}, "law"),
        ({"article": "  "}, "article"),
        ({"reason_zh": ""}, "reason_zh"),
        ({"title_en": ""}, "title_en"),
        ({"effective_from": None}, "effective_from"),
        ({"effective_until": civil(-1)}, "effective_until"),
        ({"review_on": None}, "review_on"),
        ({"review_on": TODAY}, "review_on"),
        ({"condition": Condition()}, "condition"),
        ({"condition": None}, "condition"),
        ({"resource": "370200-x"}, "resource"),
    ],
)
def test_a_negative_entry_stands_on_a_law_a_reason_dates_and_a_condition(
    changes: dict[str, Any], field: str
) -> None:
    entry = negative().model_copy(update=changes)
    assert field in [fault.field for fault in entry_faults(ListKind.NEGATIVE, entry, TODAY)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"article": ""}, "article"),
        ({"resource": ""}, "resource"),
        ({"unit_name": ""}, "unit_name"),
        ({"open_attr": OpenAttr.CLOSED}, "open_attr"),
        ({"open_attr": OpenAttr.CONDITIONAL}, "terms"),
        ({"condition": Condition(words=("停车",))}, "condition"),
    ],
)
def test_an_open_entry_says_what_is_open_and_how(changes: dict[str, Any], field: str) -> None:
    entry = opened().model_copy(update=changes)
    assert field in [fault.field for fault in entry_faults(ListKind.OPEN, entry, TODAY)]


def test_complete_entries_have_no_faults() -> None:
    assert entry_faults(ListKind.NEGATIVE, negative(), TODAY) == []
    assert entry_faults(ListKind.OPEN, opened(), TODAY) == []


def test_a_change_names_what_it_changes() -> None:
    with pytest.raises(ValidationError):
        Change(kind=ChangeKind.ADD)
    with pytest.raises(ValidationError):
        Change(kind=ChangeKind.END, code="FM-1", revision=1)
    with pytest.raises(ValidationError):
        Change(kind=ChangeKind.REVISE, code="FM-0001", entry=negative())
    assert Change(kind=ChangeKind.END, code="FM-0001", revision=1).entry is None


FACTS = Declared(
    texts=("全市居民逐户用电明细", "Household electricity"),
    category="能源/电力/用电",
    industry="D44",
    fields=("用户编号", "ID_Card No."),
    codes=("SG-370200-R-2026-000001-X", "370200-dl-0001"),
    grade=DataGrade.G3,
    source=SourceKind.CRAWLED,
    supply=SupplyKind.PUBLIC,
    open_attr=OpenAttr.CLOSED,
    personal=PersonalInfo.PI,
    has_basis=False,
    delivery=frozenset({DeliveryMode.FILE}),
)


@pytest.mark.parametrize(
    "condition",
    [
        Condition(words=("逐户用电",)),
        Condition(words=("没有", "HOUSEHOLD")),
        Condition(categories=("能源/电力",)),
        Condition(industries=("D4",)),
        Condition(fields=("id card no",)),
        Condition(codes=("370200-DL-0001",)),
        Condition(grades=(DataGrade.G3, DataGrade.G4)),
        Condition(sources=(SourceKind.CRAWLED,)),
        Condition(supplies=(SupplyKind.PUBLIC,)),
        Condition(open_attrs=(OpenAttr.CLOSED,)),
        Condition(personal=(PersonalInfo.PI, PersonalInfo.SPI)),
        Condition(delivery=(DeliveryMode.FILE,)),
        Condition(without_basis=True),
        Condition(words=("用电",), personal=(PersonalInfo.PI,), without_basis=True),
    ],
)
def test_each_test_catches_what_it_names(condition: Condition) -> None:
    assert caught(condition, FACTS) is not None


@pytest.mark.parametrize(
    "condition",
    [
        Condition(),
        Condition(words=("停车",)),
        Condition(words=("用电",), grades=(DataGrade.G1,)),
        Condition(categories=("电力",)),
        Condition(codes=("370200-dl-000",)),
        Condition(personal=(PersonalInfo.NONE,)),
        Condition(delivery=(DeliveryMode.API,)),
    ],
)
def test_every_test_that_is_asked_has_to_hold(condition: Condition) -> None:
    assert caught(condition, FACTS) is None


@pytest.mark.parametrize(
    "text",
    ["逐 户 用 电", "逐户\u200b用电", "「逐户」用电", "逐户用电", "逐戶".replace("戶", "户") + "－用电"],
)
def test_a_word_is_not_hidden_by_spaces_and_marks(text: str) -> None:
    assert caught(Condition(words=("逐户用电",)), Declared(texts=(text,))) is not None


def test_without_basis_is_about_people_only() -> None:
    assert (
        caught(Condition(without_basis=True), Declared(personal=PersonalInfo.NONE, has_basis=False)) is None
    )
    assert caught(Condition(without_basis=True), Declared(personal=PersonalInfo.SPI, has_basis=True)) is None


def test_a_rule_counts_only_in_its_days() -> None:
    rule = Rule("FM-0001", 1, negative(effective_from=TODAY, effective_until=TODAY + timedelta(days=2)))
    found = {days: len(hits([rule], FACTS, TODAY + timedelta(days=days))) for days in (-1, 0, 1, 2)}
    assert found == {-1: 0, 0: 1, 1: 1, 2: 0}


def test_a_hit_explains_itself_in_both_languages() -> None:
    [hit] = hits([Rule("FM-0007", 2, negative())], FACTS, TODAY)
    assert hit.fault().rule == "T01.FM-0007"
    for part in ("FM-0007", "个人信息保护法", "第 13 条", "逐户用电", "可识别到户"):
        assert part in hit.why.zh
    assert "Identifies households" in hit.why.en


@given(st.text(max_size=40), st.text(max_size=40))
def test_plain_is_blind_to_what_is_no_letter(before: str, after: str) -> None:
    assert plain(plain(before)) == plain(before)
    assert plain(f"{before} -_ {after}") == plain(before) + plain(after) or not before or not after


@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.dictionaries(st.sampled_from("xyz"), st.integers(0, 2)), max_size=6
    ),
    st.dictionaries(
        st.sampled_from("abcdef"), st.dictionaries(st.sampled_from("xyz"), st.integers(0, 2)), max_size=6
    ),
)
def test_a_difference_leads_from_one_version_to_the_other(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    made = dict(before)
    for each in differences(before, after):
        if each.after is None:
            del made[each.code]
        else:
            made[each.code] = each.after
    assert made == after
    assert [each.code for each in differences(before, before)] == []


def test_dates_are_civil_days() -> None:
    assert isinstance(civil(), date)
