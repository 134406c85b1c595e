from typing import Any

import pytest

from contracts.offers import Offer, beyond
from tests.contracts.samples import SELLER, SLOTS, commercial, content, provision


def offer(**changes: Any) -> Offer:
    template, terms = provision(), commercial()
    fields: dict[str, Any] = {
        "template_slug": template.slug,
        "template_version": template.version,
        "template_sha256": template.sha256,
        "tier": terms.tier,
        "product": terms.product,
        "version_rule": terms.version_rule,
        "purposes": ["industry", "sector", "internal_business"],
        "territory": terms.territory,
        "delivery": ["api", "file"],
        "quota": terms.quota,
        "price": terms.price,
        "min_prepay_fen": 100_000,
        "months": 12,
        "seller": SELLER,
        "slots": SLOTS,
    }
    return Offer(**(fields | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"quota": {"calls": 1, "rows": 1}},
        {"term": {"months": 6}},
        {"term": {"first_day": "2026-01-01", "last_day": "2027-01-01"}},
        {"purposes": ["sector"]},
        {"prepay_fen": 100_000},
    ],
)
def test_a_contract_within_the_offer_is_covered(changes: dict[str, Any]) -> None:
    assert beyond(offer(), content(commercial(**changes))) == []


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"quota": {"calls": 100_001, "rows": 1}}, "quota"),
        ({"quota": {"rows": 1}}, "quota"),
        ({"price": {"call_fen": 7}}, "price"),
        ({"term": {"months": 13}}, "term"),
        ({"term": {"first_day": "2026-01-01", "last_day": "2027-01-02"}}, "term"),
        ({"purposes": ["governance"]}, "purposes"),
        ({"delivery": ["compute"]}, "delivery"),
        ({"version_rule": "pinned"}, "version rule"),
        ({"territory": "worldwide"}, "territory"),
        ({"prepay_fen": 99_999}, "prepaid amount"),
        ({"seller": SELLER | {"phone": "1"}}, "provider"),
    ],
)
def test_what_goes_beyond_the_offer_is_named(changes: dict[str, Any], where: str) -> None:
    assert where in [words.en for words in beyond(offer(), content(commercial(**changes)))]


def test_the_text_and_the_provider_slots_are_part_of_the_offer() -> None:
    assert [w.en for w in beyond(offer(template_sha256="0" * 64), content())] == ["contract text"]
    assert [w.en for w in beyond(offer(), content(data_content="别的数据"))] == ["the provider's slots"]


def test_the_hash_covers_the_offer() -> None:
    assert offer().hash == offer().hash
    assert offer().hash != offer(months=11).hash
