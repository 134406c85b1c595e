"""疑似重复 How alike two resources are by title and by data items; whole percents, no guesses hidden."""

import re
import unicodedata
from typing import Any

from sqlmodel import col, select

from market.registry.rules import AssetState
from market.registry.tables import Asset
from storage.unit import View

MOST = 10
_WATCHED = (
    AssetState.SUBMITTED,
    AssetState.ACCEPTED,
    AssetState.UNDER_REVIEW,
    AssetState.PUBLICITY,
    AssetState.OBJECTED,
    AssetState.REGISTERED,
)


def similar_to(view: View, asset: Asset, percent: int) -> list[dict[str, Any]]:
    """重复采集检测. Registered or applied-for assets whose title or data items are alike, the likest first.

    percent: from which likeness on. Another's application shows its likeness only, never its title.
    """
    title, names = pairs_of(asset.title_zh), item_names(asset.items)
    query = select(Asset).where(Asset.id != asset.id, col(Asset.state).in_(_WATCHED))
    found: list[dict[str, Any]] = []
    for other in view.session.exec(query):
        by_title = percent_alike(title, pairs_of(other.title_zh))
        # One or two columns are alike by chance; nothing is said of them.
        by_items = percent_alike(names, item_names(other.items)) if len(names) >= 3 else 0
        if max(by_title, by_items) < percent:
            continue
        shown = other.number is not None or other.registrant_id == asset.registrant_id
        found.append(
            {
                "asset": other.id if shown else None,
                "number": other.number,
                "title": {"zh": other.title_zh, "en": other.title_en or other.title_zh} if shown else None,
                "title_percent": by_title,
                "items_percent": by_items,
            }
        )
    found.sort(key=lambda like: -max(like["title_percent"], like["items_percent"]))
    return found[:MOST]


def percent_alike(one: frozenset[str], other: frozenset[str]) -> int:
    """What both have of all that either has, in whole percent, rounded down.

    >>> percent_alike(frozenset("abcd"), frozenset("abc")), percent_alike(frozenset(), frozenset())
    (75, 0)
    """
    every = len(one | other)
    return len(one & other) * 100 // every if every else 0


def pairs_of(title: str) -> frozenset[str]:
    """The pairs of neighbouring characters of a title, without marks, width and case.

    >>> sorted(pairs_of("停车 场"))
    ['停车', '车场']
    """
    plain = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", title).casefold())
    return frozenset(plain[at : at + 2] for at in range(max(len(plain) - 1, 1))) if plain else frozenset()


def item_names(items: list[dict[str, Any]]) -> frozenset[str]:
    """The names of data items as they are compared."""
    return frozenset(unicodedata.normalize("NFKC", str(item["name"])).strip().casefold() for item in items)
