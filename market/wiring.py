"""All that follows by itself from what happened, on one page."""

from typing import Any

from market.identity import postman
from storage.dispatch import Errand, Reaction
from storage.journal import Entry


def _post(house: Any, _entry: Entry) -> None:
    postman.send_waiting(house.store, house.settings)


EFFECTS: tuple[Reaction | Errand[Any], ...] = (
    # Whoever makes a one-time link for somebody writes the mail in the same Unit.
    Errand("postman", frozenset({"link.made"}), _post),
)
