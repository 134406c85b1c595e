"""挂牌要约 The provider's standing offer: what it has accepted in advance, and what would go beyond it. Pure."""

from collections.abc import Collection
from typing import Any

from pydantic import Field

from contracts.parties import Party
from contracts.rules import months_after
from contracts.terms import (
    DeliveryModes,
    Price,
    Product,
    Purposes,
    Quota,
    RightKind,
    Rights,
    Terms,
    Territory,
    Tier,
    VersionRule,
)
from contracts.values import Count, Value
from storage.kernel.canonical import digest
from storage.kernel.words import Words

_LIMITS = ("calls", "rows", "bytes", "downloads")


class Offer(Value):
    """挂牌要约. The terms a provider accepts at listing for every buyer alike.

    A contract within the offer needs no second act of the provider. `slots` are the blanks the provider
    filled in; `months` is the longest term; `template_sha256` fixes the very text.
    """

    template_slug: str
    template_version: str
    template_sha256: str
    tier: Tier
    product: Product
    version_rule: VersionRule
    purposes: Purposes
    territory: Territory
    delivery: DeliveryModes
    rights: Rights = (RightKind.USE,)
    quota: Quota
    price: Price
    min_prepay_fen: Count = 0
    months: int | None = Field(None, gt=0, le=240)
    seller: Party
    slots: dict[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 (hex) over the canonical JSON of the offer: what the provider accepts at listing."""
        return digest(self.document())


def waived(offer: Offer, *, slug: str, version: str, sha256: str, slots: Collection[str]) -> Offer:
    """免收. The same offer on the public-good side: another text, no price, nothing paid ahead.

    slots: the blanks the other text shares with this one. The provider accepted it by offering the
    data for a purpose that is free by law.
    """
    return offer.model_copy(
        update={
            "template_slug": slug,
            "template_version": version,
            "template_sha256": sha256,
            "tier": Tier.PUBLIC_GOOD,
            "price": Price(),
            "min_prepay_fen": 0,
            "rights": (RightKind.USE,),
            "slots": {name: value for name, value in offer.slots.items() if name in slots},
        }
    )


def beyond(offer: Offer, content: dict[str, Any]) -> list[Words]:
    """超出要约之处. Where the content of a contract grants more than `offer`; empty when it is covered."""
    terms = Terms(**content["terms"])
    template = content["template"]
    wrong = [
        (template["sha256"] != offer.template_sha256, Words("合同文本", "contract text")),
        (terms.tier is not offer.tier, Words("公益或商业", "tier")),
        (terms.product != offer.product, Words("产品", "product")),
        (terms.seller != offer.seller, Words("提供方", "provider")),
        (terms.version_rule is not offer.version_rule, Words("版本规则", "version rule")),
        (not set(terms.purposes) <= set(offer.purposes), Words("处理目的", "purposes")),
        (terms.territory not in (offer.territory, Territory.MAINLAND), Words("地域", "territory")),
        (not set(terms.delivery) <= set(offer.delivery), Words("交付方式", "delivery")),
        (not set(terms.rights) <= set(offer.rights), Words("权利", "rights")),
        (terms.price != offer.price, Words("价格", "price")),
        (terms.prepay_fen < offer.min_prepay_fen, Words("预付金额", "prepaid amount")),
        (_longer(terms, offer), Words("期限", "term")),
        (
            any(_more(getattr(terms.quota, n), getattr(offer.quota, n)) for n in _LIMITS),
            Words("配额", "quota"),
        ),
        (
            any(content["slots"].get(name) != value for name, value in offer.slots.items()),
            Words("提供方填写的要素", "the provider's slots"),
        ),
    ]
    return [words for is_wrong, words in wrong if is_wrong]


def _more(asked: int | None, offered: int | None) -> bool:
    return offered is not None and (asked is None or asked > offered)


def _longer(terms: Terms, offer: Offer) -> bool:
    if offer.months is None:
        return False
    term = terms.term
    if term.months is not None:
        return term.months > offer.months
    if term.first_day is None or term.last_day is None:
        return True
    return term.last_day > months_after(term.first_day, offer.months)
