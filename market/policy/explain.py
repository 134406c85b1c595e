"""解释 What would change a decision: each input flipped alone, and the flips that matter."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from contracts.terms import DeliveryMode
from market.policy.engine import Outcome, decide
from market.policy.inputs import TERMS, Inputs, Shape, Term
from market.policy.packs import Pack

SOME_ENTRY = ("N00",)  # stands for a hit of the negative list, whichever


@dataclass(frozen=True, slots=True)
class Flip:
    """单项变化. One input with another value, and the outcome that gives."""

    term: Term
    before: Any
    after: Any
    outcome: Outcome


def flips(given: Inputs, pack: Pack, off: Collection[str] = ()) -> tuple[Flip, ...]:
    """何以改变. Every single change of one input that changes the outcome, in the order of the inputs."""
    present = _essence(decide(given, pack, off))
    found = []
    for term in TERMS.values():
        before = getattr(given, term.name)
        for after in _others(term, before, given):
            outcome = decide(replace(given, **{term.name: after}), pack, off)
            if _essence(outcome) != present:
                found.append(Flip(term, before, after, outcome))
    return tuple(found)


def _essence(outcome: Outcome) -> tuple[Any, ...]:
    """What of an outcome counts as another decision."""
    return (
        outcome.decision,
        outcome.tier,
        outcome.price_rule,
        outcome.most_fen,
        outcome.license_class,
        outcome.delivery,
        outcome.approvals,
    )


def _others(term: Term, before: Any, given: Inputs) -> Iterator[Any]:
    """The other values to try; the unknown is not one, because nobody can choose not to know."""
    if term.shape is Shape.AMOUNT:
        ceiling = given.ceiling_fen or 0
        price = given.price_fen or 0
        wanted = {0, 1, ceiling, ceiling + 1} if term.name == "price_fen" else {0, price}
        yield from sorted(wanted - {before})
    elif term.shape is Shape.SET:
        yield from (frozenset({mode}) for mode in DeliveryMode if before != frozenset({mode}))
    elif term.shape is Shape.NAMES:
        yield () if before else SOME_ENTRY
    else:
        yield from (value for value in term.values() if value != before)
