"""条款 What is agreed, as frozen values: the one source of the text, its hash and what the gateway allows."""

from datetime import date
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, StrictInt, model_validator

from contracts.parties import Party
from contracts.values import Limit, Line, Passage, Value
from storage.kernel.money import MAX_FEN
from storage.kernel.problem import invalid
from storage.kernel.words import Worded, Words

Fen = Annotated[StrictInt, Field(ge=0, le=MAX_FEN)]  # whole fen, tax included


class Tier(Worded):
    """公益／商业. On which side of the line a license stands."""

    PUBLIC_GOOD = "public_good", "公益", "Public good"
    COMMERCIAL = "commercial", "商业", "Commercial"


class Purpose(Worded):
    """处理目的. What the data may be used for; one token names exactly one of them."""

    GOVERNANCE = "governance", "公共治理", "Public governance"
    PUBLIC_WELFARE = "public_welfare", "公益事业", "Public welfare"
    RESEARCH_NONPROFIT = "research_nonprofit", "非营利科研", "Non-profit research"
    EMERGENCY = "emergency", "应急处置", "Emergency response"
    PERSONAL = "personal", "个人使用", "Personal use"
    INDUSTRY = "industry", "产业发展", "Industrial development"
    SECTOR = "sector", "行业发展", "Sector development"
    INTERNAL_BUSINESS = "internal_business", "内部经营", "Internal business"
    RESALE = "resale", "对外经营", "Supply to others"


class VersionRule(Worded):
    """版本规则. Which version of the product a license opens."""

    PINNED = "pinned", "限定版本", "Pinned version"
    LATEST = "latest", "许可期内最新版本", "Latest version while in force"


class RightKind(Worded):
    """数据产权. The three rights, in the wording of the 2025 model contracts."""

    HOLD = "hold", "数据持有权", "Right to hold the data"
    USE = "use", "数据使用权", "Right to use the data"
    OPERATE = "operate", "数据经营权", "Right to supply the data to others"


class DeliveryMode(Worded):
    """交付方式. How the data reaches the buyer."""

    FILE = "file", "文件下载", "File download"
    API = "api", "接口调用", "API calls"
    COMPUTE = "compute", "可用不可见计算", "Computation without release of the data"
    VERIFY = "verify", "核验", "Verification"
    API_CALL = "api_call", "经平台调用供方接口", "Calls to the provider's own API through the platform"


class Territory(Worded):
    """地域. Where the data may be used."""

    MAINLAND = (
        "mainland",
        "中国境内（不含港澳台地区）",
        "the mainland of China (not Hong Kong, Macao and Taiwan)",
    )
    WORLDWIDE = "worldwide", "全球", "worldwide"


W = TypeVar("W", bound=Worded)


def _each_once(chosen: tuple[W, ...]) -> tuple[W, ...]:
    # The order in which boxes were ticked must not change the hash of a contract.
    return tuple(member for member in type(chosen[0]) if member in chosen) if chosen else chosen


Purposes = Annotated[tuple[Purpose, ...], Field(min_length=1), AfterValidator(_each_once)]
DeliveryModes = Annotated[tuple[DeliveryMode, ...], Field(min_length=1), AfterValidator(_each_once)]
Rights = Annotated[tuple[RightKind, ...], Field(min_length=1), AfterValidator(_each_once)]


class Product(Value):
    """数据产品. What is licensed, by the names it had when the terms were frozen."""

    id: str = Field(min_length=1, max_length=40)
    slug: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)
    title: Words


class Quota(Value):
    """配额. The most that may be taken over the whole term; None is unlimited."""

    calls: Limit = None
    rows: Limit = None
    bytes: Limit = None
    downloads: Limit = None


class Price(Value):
    """价格. Prices in fen, tax included. `fee_fen` is per month; `per_hit` charges only answers with content.

    tax_rate_bp: basis points of the tax inside the price (600 = 6 %).
    """

    call_fen: Fen = 0
    row_fen: Fen = 0
    download_fen: Fen = 0
    fee_fen: Fen = 0
    per_hit: bool = False
    tax_rate_bp: Annotated[StrictInt, Field(ge=0, le=10_000)] = 600

    @property
    def free(self) -> bool:
        """Whether nothing is charged, whatever is used."""
        return not (self.call_fen or self.row_fen or self.download_fen or self.fee_fen)

    @property
    def metered(self) -> bool:
        """Whether use itself is charged."""
        return bool(self.call_fen or self.row_fen or self.download_fen)


class Term(Value):
    """期限. Either whole days (`first_day` to `last_day`, both included), or months from activation.

    Neither is a term without an end. Raises Invalid when both are given or the days are reversed.
    """

    first_day: date | None = None
    last_day: date | None = None
    months: Annotated[StrictInt, Field(gt=0, le=240)] | None = None

    @model_validator(mode="after")
    def _one_way_of_saying_it(self) -> Self:
        if self.months and (self.first_day or self.last_day):
            raise invalid(
                "term",
                "term.both",
                "期限请只选起止日期或月数之一。",
                "Give either dates or months, not both.",
            )
        if (self.first_day is None) != (self.last_day is None):
            raise invalid("term", "term.dates", "起止日期必须成对。", "Give both the first and the last day.")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise invalid(
                "term", "term.reversed", "截止日期早于起始日期。", "The last day is before the first day."
            )
        return self

    @property
    def endless(self) -> bool:
        """Whether the term has no end of its own."""
        return self.months is None and self.last_day is None


class Terms(Value):
    """条款. Everything the parties agree on and the gateway enforces, frozen at signature.

    Invariants, each an Invalid fault: public-good terms have no price, no prepayment; only they may have
    no end and no buyer; supplying to others is a purpose exactly when the right to operate is granted.
    """

    tier: Tier
    product: Product
    version: Line
    version_rule: VersionRule = VersionRule.PINNED
    purposes: Purposes
    scenario: Passage
    territory: Territory = Territory.MAINLAND
    delivery: DeliveryModes
    rights: Rights = (RightKind.USE,)
    quota: Quota = Quota()
    price: Price = Price()
    prepay_fen: Fen = 0  # paid in advance; where use is charged it is also the spend cap
    term: Term = Term()
    seller: Party
    buyer: Party | None = None

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if self.tier is Tier.PUBLIC_GOOD and not (self.price.free and self.prepay_fen == 0):
            raise invalid("price", "tier.free", "公益许可不得收费。", "A public-good license has no price.")
        if self.tier is Tier.COMMERCIAL and self.term.endless:
            raise invalid(
                "term", "term.endless", "商业许可必须有期限。", "A commercial license needs a term."
            )
        if self.tier is Tier.COMMERCIAL and self.buyer is None:
            raise invalid(
                "buyer", "buyer.missing", "商业许可必须写明买方。", "A commercial license names its buyer."
            )
        if self.price.metered and self.prepay_fen == 0:
            raise invalid(
                "prepay_fen",
                "prepay.missing",
                "按用量计费须约定预付金额，它同时是费用上限。",
                "Metered prices need a prepaid amount; it is also the spend cap.",
            )
        if (Purpose.RESALE in self.purposes) != (RightKind.OPERATE in self.rights):
            raise invalid(
                "rights",
                "rights.resale",
                "对外经营须同时授予数据经营权，反之亦然。",
                "Supply to others needs the right to operate, and the reverse.",
            )
        if self.buyer and self.buyer.identity_number == self.seller.identity_number:
            raise invalid("buyer", "buyer.self", "买卖双方不能是同一主体。", "Buyer and seller must differ.")
        return self

    @property
    def spend_cap_fen(self) -> int | None:
        """费用上限. The most that use may cost over the term, in fen; None where use is not charged."""
        return self.prepay_fen if self.price.metered else None
