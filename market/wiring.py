"""All that follows by itself from what happened, on one page."""

from typing import Any

from storage.dispatch import Errand, Reaction

EFFECTS: tuple[Reaction | Errand[Any], ...] = ()
