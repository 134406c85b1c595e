"""条件 The small typed form a rule's condition is written in, and its three-valued truth; pure, nothing is executed."""

from dataclasses import dataclass
from typing import Any

from market.policy.inputs import Inputs

# True, False, or None: cannot be said, because an input is unknown (Kleene's strong logic).
Truth = bool | None


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class OneOf:
    """The term has one of these values."""

    term: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Above:
    """The amount is greater than a number, or than another amount."""

    term: str
    number: int = 0
    other: str | None = None


@dataclass(frozen=True, slots=True)
class Within:
    """Every member of the set is one of these."""

    term: str
    values: frozenset[Any]


@dataclass(frozen=True, slots=True)
class Present:
    """The list is not empty."""

    term: str


Condition = All | Some | Not | OneOf | Above | Within | Present


def holds(condition: Condition, given: Inputs) -> Truth:
    """真值. Whether the condition holds of `given`; None when that hangs on something unknown."""
    match condition:
        case All(parts):
            return _all([holds(part, given) for part in parts])
        case Some(parts):
            return _negated(_all([_negated(holds(part, given)) for part in parts]))
        case Not(part):
            return _negated(holds(part, given))
        case OneOf(term, values):
            value = getattr(given, term)
            return None if value is None else value in values
        case Above(term, number, other):
            value = getattr(given, term)
            limit = number if other is None else getattr(given, other)
            return None if value is None or limit is None else value > limit
        case Within(term, values):
            value = getattr(given, term)
            return None if value is None else value <= values
        case Present(term):
            value = getattr(given, term)
            return None if value is None else bool(value)


def _all(truths: list[Truth]) -> Truth:
    if False in truths:
        return False
    return None if None in truths else True


def _negated(truth: Truth) -> Truth:
    return None if truth is None else not truth


def terms_of(condition: Condition) -> frozenset[str]:
    """Which terms a condition looks at."""
    match condition:
        case All(parts) | Some(parts):
            return frozenset().union(*(terms_of(part) for part in parts))
        case Not(part):
            return terms_of(part)
        case Above(term, _, other):
            return frozenset({term} if other is None else {term, other})
        case OneOf(term, _) | Within(term, _) | Present(term):
            return frozenset({term})
