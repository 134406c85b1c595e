"""Six things the market must refuse, each taken the real way as far as it gets: registration, product, listing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from contracts.terms import DeliveryMode, Tier
from market.catalogue import listing, offers
from market.catalogue.queries import products_of_asset
from market.catalogue.rules import PlanKind, Price, Zone
from market.demo.cast import acting
from market.demo.pieces import Piece
from market.demo.story import built, registered, standing_of, submitted
from market.house import House
from market.policy.inputs import DataGrade, OpenAttr, ProductForm, SourceKind, SupplyKind
from market.policy.queries import in_force
from market.registry import actions as registry
from market.registry.queries import by_code
from market.registry.rules import AssetState
from storage.kernel.problem import Invalid
from storage.kernel.words import Words

LISTED = "T01/list"  # the rule of the pack behind every entry of the negative list
REGISTRATION = Words("登记申请被拒", "the registration was refused")
LISTING = Words("挂牌申请被拒", "the listing was refused")


@dataclass(frozen=True, slots=True)
class Ground:
    """不准理由. One rule, what it says of the case, its sources, and the way out."""

    rule: str
    words: Words
    sources: tuple[Words, ...]
    remedy: Words


@dataclass(frozen=True, slots=True)
class Refused:
    """被拒示例. What somebody tried, where the market stopped it, and every ground it gave."""

    title: Words
    stage: Words
    grounds: tuple[Ground, ...]

    @property
    def rule_ids(self) -> list[str]:
        """The numbers of the rules, each once, in order."""
        return list(dict.fromkeys(ground.rule for ground in self.grounds))


def _forbidden(slug: str, zh: str, en: str, columns: str, grade: DataGrade, **more: object) -> Piece:
    names = columns.split()
    rows = "".join(",".join(f"{name}{number}" for name in names) + "\n" for number in range(1, 6))
    usual = Piece(
        slug=f"refused-{slug}",
        owner="dealer",
        title_zh=zh,
        title_en=en,
        file_name=f"{slug}.csv",
        content=f"{','.join(names)}\n{rows}".encode,
        steps=({"step": "dedupe", "columns": []},),
        indexes=(names[0],),
        words=tuple((name, name, name.replace("_", " ")) for name in names),
        zone=Zone.GOVERNMENT,
        tier=Tier.COMMERCIAL,
        open_attr=OpenAttr.CLOSED,
        grade=grade,
        supply=SupplyKind.ENTERPRISE,
        summary_zh=f"{zh}（虚构数据，演示用）。",
        summary_en=f"{en} (invented data).",
        price=Price(call_fen=100),
        delivery=(DeliveryMode.FILE,),
        form=ProductForm.CLEANSED,
        kind=PlanKind.PER_CALL,
        assessed=False,
    )
    return replace(usual, **more)  # type: ignore[arg-type]  # fields of a Piece


SIX = (
    _forbidden(
        "identity-cards", "个人身份证明细", "Identity card details",
        "身份证号 name address", DataGrade.G4, pi_basis="无",
    ),
    _forbidden(
        "insurance-claims", "医保结算明细（未脱敏）", "Medical insurance settlements, not masked",
        "claim_no person illness paid_fen", DataGrade.G4, pi_basis="无", zone=Zone.HEALTH,
        owner="provider", supply=SupplyKind.PUBLIC, unit="青岛市医疗保障局",
    ),
    _forbidden(
        "harbor-depths", "军港水深高精度栅格", "Depth grid of a naval port",
        "grid_id lon lat depth_m", DataGrade.IMPORTANT,
        owner="provider", supply=SupplyKind.PUBLIC,
    ),
    _forbidden(
        "household-power", "居民逐户用电", "Electricity household by household",
        "meter_no hour kwh", DataGrade.G4, pi_basis="无",
    ),
    _forbidden(
        "land-register", "未开放不动产登记全量", "The whole land register, not open",
        "title_no owner parcel", DataGrade.G3, owner="provider", supply=SupplyKind.PUBLIC,
    ),
    _forbidden(
        "social-profiles", "爬取的社交账号画像", "Profiles crawled from social accounts",
        "account interest age_band", DataGrade.G4, pi_basis="无", source=SourceKind.CRAWLED,
    ),
)  # fmt: skip


def tried(house: House) -> Iterator[Refused]:
    """Each of the six with where it was stopped. What is there from an earlier time is only asked again.

    Raises RuntimeError when the market would take one of them.
    """
    for piece in SIX:
        try:
            asset_id = _register(house, piece)
        except Invalid as refusal:
            yield _told(house, piece, REGISTRATION, refusal)
            continue
        try:
            _offer(house, piece, asset_id)
        except Invalid as refusal:
            yield _told(house, piece, LISTING, refusal)
            continue
        raise RuntimeError(f"the market would list {piece.slug}")


def _register(house: House, piece: Piece) -> str:
    """The asset, registered; one that was refused before is submitted again. Raises Invalid."""
    owner = acting(house, piece.owner)
    with house.store.view() as view:
        known = by_code(view, f"370200-demo-{piece.slug}", owner.own_org)
    if known is None:
        return registered(house, piece, submitted(house, piece))
    if known.state is AssetState.DRAFT:
        with house.store.unit(owner.id, owner.org) as unit:
            registry.submit_asset(unit, owner, known.id)
        return registered(house, piece, known.id)
    return known.id


def _offer(house: House, piece: Piece, asset_id: str) -> None:
    owner = acting(house, piece.owner)
    with house.store.view() as view:
        known = products_of_asset(view, asset_id)
    product_id = known[0] if known else built(house, piece, asset_id, owner)
    standing = standing_of(piece)
    with house.store.view() as view:
        accepted = offers.standing_hash(view, owner, product_id, standing)
    with house.store.unit(owner.id, owner.org) as unit:
        listing.submit_listing(unit, owner, product_id, standing=standing, offer_sha256=accepted)


def _told(house: House, piece: Piece, stage: Words, refusal: Invalid) -> Refused:
    with house.store.view() as view:
        behind = {rule.key: rule for rule in in_force(view).pack.rules}[LISTED]
    grounds = []
    for fault in refusal.faults:
        by_list = fault.rule.startswith("T01.")
        sources = behind.sources if by_list else ()
        remedy = behind.remedy if by_list else Words("", "")
        grounds.append(Ground(fault.rule, fault.words, sources, remedy))
    return Refused(Words(piece.title_zh, piece.title_en), stage, tuple(grounds))
