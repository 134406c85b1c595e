"""Every kind of entry the code records has words for people, in both languages."""

import ast
import re

from market.approvals.rules import PAST
from market.catalogue.rules import ListingState
from market.web.histories import HAPPENED
from market.web.words import KINDS
from tests.house.tree import sources


def recorded() -> set[str]:
    """The kinds that stand as text in a call of `record`."""
    return {
        constant.value
        for source in sources()
        for call in ast.walk(source.tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "record"
        for constant in ast.walk(call.args[0] if call.args else ast.Pass())
        if isinstance(constant, ast.Constant)
        and isinstance(constant.value, str)
        and re.fullmatch(r"[a-z_]+\.[a-z_]+", constant.value)
    }


def test_every_recorded_kind_has_words() -> None:
    kinds = recorded() | {f"case.{past}" for past in PAST.values()}
    kinds |= {f"listing.{state}" for state in set(ListingState) - {ListingState.DRAFT}}
    assert len(kinds) >= 100
    assert sorted(kinds - set(HAPPENED) - set(KINDS)) == []
    assert all(words.zh and words.en for words in (HAPPENED | KINDS).values())
