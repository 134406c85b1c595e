"""Prepare the demo once, and say who can sign in."""

from collections.abc import Callable

from market.demo import cast, stocking, story
from market.demo.forbidden import Refused, tried
from market.house import House


def prepare(house: House, say: Callable[[str], None]) -> bool:
    """Make the demo market unless it is there. Returns whether it was made now.

    Raises RuntimeError outside embedded mode on loopback, where demo accounts must not exist.
    """
    settings = house.settings
    if settings.mode != "embedded" or settings.host not in {"127.0.0.1", "::1", "localhost"}:
        raise RuntimeError("the demo is for embedded mode on a loopback address only")
    if cast.is_there(house):
        return False
    cast.invite(house)
    story.tell(house, say)
    return True


def stock(house: House, say: Callable[[str], None]) -> int:
    """Fill the shelves of a demo that is there. Returns how many products were added; twice is once."""
    return stocking.stock(house, say)


def refusals(house: House) -> list[Refused]:
    """What the market must refuse, tried the real way, and where and why it did."""
    return list(tried(house))


def accounts() -> list[tuple[str, str, str]]:
    """Login, name and roles (Chinese) of everybody in the demo."""
    players = [*cast.PLAYERS, cast.CITIZEN]
    return [(p.address, p.name, "、".join(role.words.zh for role in p.roles)) for p in players]
