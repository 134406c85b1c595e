"""A condition over something unknown is neither true nor false, unless the known parts decide it alone."""

import pytest

from contracts.terms import DeliveryMode
from market.policy.conditions import (
    Above,
    All,
    Condition,
    Not,
    OneOf,
    Present,
    Some,
    Truth,
    Within,
    holds,
    terms_of,
)
from market.policy.inputs import Inputs

YES, NO, UNKNOWN = OneOf("foreign", (True,)), OneOf("foreign", (False,)), OneOf("pia", (True,))
GIVEN = Inputs(
    foreign=True,
    delivery=frozenset({DeliveryMode.COMPUTE, DeliveryMode.API}),
    price_fen=50,
    ceiling_fen=50,
    negative_hits=(),
)


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        (YES, True), (NO, False), (UNKNOWN, None),
        (Not(YES), False), (Not(NO), True), (Not(UNKNOWN), None),
        (All((YES, UNKNOWN)), None), (All((NO, UNKNOWN)), False), (All((UNKNOWN, NO)), False), (All((YES, YES)), True),
        (Some((NO, UNKNOWN)), None), (Some((YES, UNKNOWN)), True), (Some((UNKNOWN, YES)), True), (Some((NO, NO)), False),
        (All(()), True), (Some(()), False),
        (Above("price_fen", 49), True), (Above("price_fen", 50), False), (Above("price_fen", other="ceiling_fen"), False),
        (Not(Above("price_fen", 50)), True),
        (Within("delivery", frozenset({DeliveryMode.COMPUTE, DeliveryMode.API})), True),
        (Within("delivery", frozenset(DeliveryMode)), True),
        (Within("delivery", frozenset({DeliveryMode.COMPUTE})), False),
        (Present("negative_hits"), False), (Not(Present("negative_hits")), True),
    ],
)  # fmt: skip
def test_the_truth_of_a_condition(condition: Condition, truth: Truth) -> None:
    assert holds(condition, GIVEN) is truth


@pytest.mark.parametrize(
    "condition",
    [
        Above("price_fen", 1),
        Above("price_fen", other="ceiling_fen"),
        Within("delivery", frozenset({DeliveryMode.COMPUTE})),
        Present("negative_hits"),
    ],
)
def test_the_unknown_is_neither(condition: Condition) -> None:
    assert holds(condition, Inputs()) is None
    assert holds(Not(condition), Inputs()) is None


def test_a_condition_names_its_terms() -> None:
    whole = All(
        (Some((YES, Not(UNKNOWN))), Above("price_fen", other="ceiling_fen"), Present("negative_hits"))
    )
    assert terms_of(whole) == {"foreign", "pia", "price_fen", "ceiling_fen", "negative_hits"}
