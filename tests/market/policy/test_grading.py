"""A grade follows from who would be harmed how much; what is not known counts as the worst."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.terms import DeliveryMode
from market.policy.grading import DELIVERY, MATRIX, Degree, FieldFacts, Harmed, WholeFacts, grade, higher
from market.policy.inputs import DataGrade, OpenAttr, PersonalInfo, SupplyKind

HARMLESS = dict.fromkeys(Harmed, Degree.NONE)
PLAIN = WholeFacts(SupplyKind.PUBLIC, OpenAttr.UNCONDITIONAL, persons=0, fused=False)
ORDER = list(DataGrade)


def field(name: str = "value", pi: PersonalInfo | None = PersonalInfo.NONE, **harms: str) -> FieldFacts:
    return FieldFacts(name, harmed(harms), pi)


def harmed(harms: dict[str, str]) -> dict[Harmed, Degree]:
    return HARMLESS | {Harmed(each): Degree(degree) for each, degree in harms.items()}


@pytest.mark.parametrize(
    ("harms", "expected"),
    [
        ({}, DataGrade.G1),
        ({"nation": "general"}, DataGrade.IMPORTANT),
        ({"nation": "serious"}, DataGrade.CORE),
        ({"economy": "general"}, DataGrade.G2),
        ({"order": "serious"}, DataGrade.IMPORTANT),
        ({"public": "grave"}, DataGrade.CORE),
        ({"organization": "general"}, DataGrade.G2),
        ({"person": "serious"}, DataGrade.G3),
        ({"organization": "grave"}, DataGrade.G4),
        ({"organization": "grave", "economy": "serious"}, DataGrade.IMPORTANT),
    ],
)
def test_the_matrix(harms: dict[str, str], expected: DataGrade) -> None:
    found = grade([FieldFacts("value", harmed(harms), PersonalInfo.NONE)], PLAIN)
    assert found.grade is expected
    assert any(reason.grade is expected and not reason.presumed for reason in found.reasons)


def test_the_highest_field_decides_and_each_has_its_own() -> None:
    found = grade([field("a"), field("b", person="grave")], PLAIN)
    assert (found.grade, found.fields) == (DataGrade.G4, {"a": DataGrade.G1, "b": DataGrade.G4})


@pytest.mark.parametrize(
    ("whole", "pi", "expected"),
    [
        (PLAIN, PersonalInfo.DEID, DataGrade.G2),
        (PLAIN, PersonalInfo.PI, DataGrade.G2),
        (PLAIN, PersonalInfo.SPI, DataGrade.G4),
        (WholeFacts(SupplyKind.PUBLIC, OpenAttr.CONDITIONAL, 0, fused=False), PersonalInfo.NONE, DataGrade.G2),
        (WholeFacts(SupplyKind.PUBLIC, OpenAttr.CLOSED, 0, fused=False), PersonalInfo.NONE, DataGrade.G4),
        (WholeFacts(SupplyKind.ENTERPRISE, OpenAttr.CLOSED, 0, fused=False), PersonalInfo.NONE, DataGrade.G1),
        (WholeFacts(SupplyKind.PUBLIC, OpenAttr.UNCONDITIONAL, 0, fused=True), PersonalInfo.NONE, DataGrade.G2),
        (WholeFacts(SupplyKind.PUBLIC, OpenAttr.UNCONDITIONAL, 10_000_000, fused=False), PersonalInfo.PI, DataGrade.IMPORTANT),
        (WholeFacts(SupplyKind.PUBLIC, OpenAttr.UNCONDITIONAL, 9_999_999, fused=False), PersonalInfo.PI, DataGrade.G2),
    ],
)  # fmt: skip
def test_floors_and_aggregation(whole: WholeFacts, pi: PersonalInfo, expected: DataGrade) -> None:
    assert grade([field(pi=pi)], whole).grade is expected


def test_the_unknown_is_presumed_the_worst_and_says_so() -> None:
    found = grade([FieldFacts("a", {})], PLAIN)
    assert found.grade is DataGrade.CORE
    assert all(reason.presumed for reason in found.reasons if reason.grade is DataGrade.CORE)
    assert grade([], PLAIN).grade is DataGrade.CORE
    assert grade([field()], WholeFacts()).grade is DataGrade.G4


@pytest.mark.parametrize(
    ("whole", "pi", "expected"),
    [
        (WholeFacts(SupplyKind.PUBLIC, OpenAttr.UNCONDITIONAL, None, fused=False), PersonalInfo.PI, DataGrade.IMPORTANT),
        (WholeFacts(SupplyKind.PUBLIC, OpenAttr.UNCONDITIONAL, None, fused=False), PersonalInfo.NONE, DataGrade.G1),
        (WholeFacts(SupplyKind.PUBLIC, OpenAttr.UNCONDITIONAL, 0, fused=None), PersonalInfo.NONE, DataGrade.G2),
        (WholeFacts(SupplyKind.PUBLIC, None, 0, fused=False), PersonalInfo.NONE, DataGrade.G4),
        (WholeFacts(SupplyKind.MIXED, OpenAttr.CLOSED, 0, fused=False), PersonalInfo.NONE, DataGrade.G4),
        (PLAIN, None, DataGrade.G4),
        (WholeFacts(SupplyKind.PUBLIC, OpenAttr.CONDITIONAL, 0, fused=True), PersonalInfo.NONE, DataGrade.G2),
    ],
)  # fmt: skip
def test_each_thing_unknown_alone(whole: WholeFacts, pi: PersonalInfo | None, expected: DataGrade) -> None:
    assert grade([field(pi=pi)], whole).grade is expected


@pytest.mark.parametrize(
    ("person", "expected"),
    [("none", "G2"), ("general", "G3"), ("serious", "G4"), ("grave", "G4")],
)
def test_fusion_raises_general_data_by_one_level(person: str, expected: str) -> None:
    fused = WholeFacts(SupplyKind.PUBLIC, OpenAttr.UNCONDITIONAL, 0, fused=True)
    assert grade([field(person=person)], fused).grade == expected


def test_what_may_leave_the_house_at_each_level() -> None:
    everything = set(DeliveryMode)
    assert {str(level): set(modes) for level, modes in DELIVERY.items()} == {
        "G1": everything,
        "G2": everything,
        "G3": everything - {DeliveryMode.FILE},
        "G4": {DeliveryMode.COMPUTE, DeliveryMode.VERIFY},
        "IMPORTANT": {DeliveryMode.COMPUTE},
        "CORE": set(),
    }


degrees = st.sampled_from(Degree)
harms = st.dictionaries(st.sampled_from(Harmed), degrees)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(harms, st.sampled_from([*PersonalInfo, None])), max_size=3),
    st.sampled_from(Harmed),
    degrees,
)
def test_a_greater_harm_never_lowers_the_grade(
    said: list[tuple[dict[Harmed, Degree], PersonalInfo | None]], whose: Harmed, degree: Degree
) -> None:
    fields = [FieldFacts(str(place), each, pi) for place, (each, pi) in enumerate(said)]
    first = grade([*fields, FieldFacts("x", HARMLESS, PersonalInfo.NONE)], PLAIN)
    more = grade([*fields, FieldFacts("x", HARMLESS | {whose: degree}, PersonalInfo.NONE)], PLAIN)
    unknown = grade([*fields, FieldFacts("x", {}, None)], PLAIN)
    assert ORDER.index(first.grade) <= ORDER.index(more.grade) <= ORDER.index(unknown.grade)


def test_the_tables_are_whole() -> None:
    assert set(MATRIX) == set(Harmed)
    assert all(set(row) == set(Degree) for row in MATRIX.values())
    for row in MATRIX.values():
        assert [ORDER.index(row[degree]) for degree in Degree] == sorted(
            ORDER.index(row[degree]) for degree in Degree
        )
    allowed = [DELIVERY[each] for each in DataGrade]
    assert all(after <= before for before, after in pairwise(allowed))
    assert higher(*DataGrade) is DataGrade.CORE
