"""The contract a standing offer makes, before there is a buyer: what is read before it is accepted or ordered."""

from zoneinfo import ZoneInfo

import markupsafe

from contracts import templates
from contracts.offers import Offer
from contracts.pages import render_html
from contracts.parties import IdentityKind, Party
from contracts.terms import Term, Terms, Tier
from storage.kernel import clock

_BUYER = Party(
    id="buyer",
    name="（下单时写入买方）",
    name_en="(the buyer, named in the order)",
    identity_kind=IdentityKind.OTHER,
    identity_number="—",
    address="—",
)


def draft_texts(offer: Offer, version: str, zone: str) -> dict[str, markupsafe.Markup]:
    """The text in each language, with the buyer's side left open. Raises TemplateNotFound, Invalid.

    version: the product's current one. zone: the market's time zone, for the date.
    """
    template = templates.load(offer.template_slug, offer.template_version)
    terms = Terms(
        tier=offer.tier,
        product=offer.product,
        version=version,
        version_rule=offer.version_rule,
        purposes=offer.purposes,
        scenario="（下单时由买方填写）",
        territory=offer.territory,
        delivery=offer.delivery,
        rights=offer.rights,
        quota=offer.quota,
        price=offer.price,
        prepay_fen=_least(offer),
        term=Term(months=offer.months or (12 if offer.tier is Tier.COMMERCIAL else None)),
        seller=offer.seller,
        buyer=_BUYER if "buyer" in template.parties else None,
    )
    today = clock.now().astimezone(ZoneInfo(zone)).date()
    content = templates.compose(template, terms, offer.slots, number="（签约时编号）", dated=today)
    return {
        lang: markupsafe.Markup(render_html(content, lang))  # noqa: S704  # an escaped template of ours
        for lang in templates.LANGS
    }


def _least(offer: Offer) -> int:
    """The least prepayment in fen; a metered contract always has one, a public-good license never."""
    if offer.tier is Tier.PUBLIC_GOOD:
        return 0
    return max(offer.min_prepay_fen, 1 if offer.price.metered else 0)
