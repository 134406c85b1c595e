"""The demo's story: assets registered, cleansed and listed, one deal active, others waiting for a click."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from contracts.queries import one_contract
from contracts.terms import DeliveryMode, Purpose, RightKind, Tier
from market.billing import actions as billing
from market.catalogue import actions as catalogue
from market.catalogue import listing, offers
from market.catalogue import queries as catalogue_queries
from market.catalogue.publishing import output_of
from market.catalogue.rules import Meaning, PlanKind, Price, Profile, Standing, Zone
from market.demo import sources
from market.demo.cast import acting, organization
from market.house import House
from market.identity.rules import Actor
from market.policy.inputs import DataGrade, OpenAttr, SupplyKind
from market.refinery import actions as refinery
from market.refinery.cleanse import cleanse
from market.refinery.rules import parse
from market.registry import actions as registry
from market.registry.queries import files_of
from market.registry.rules import Description, FormatKind, Item, Right, ShareType, SourceKind, UpdateCycle
from market.trading import actions as trading
from market.trading import queries as trading_queries
from market.trading.rules import RULES_VERSION
from market.trading.tables import Order
from storage.kernel.numbers import make_uscc
from storage.tabular.apart import inspect_apart
from storage.tabular.kinds import Column

REASON = "演示：材料齐全 demo: complete"


@dataclass(frozen=True, slots=True)
class Piece:
    """One asset of the demo and the product made of it."""

    slug: str
    owner: str
    title_zh: str
    title_en: str
    file_name: str
    content: Callable[[], bytes]
    steps: tuple[dict[str, Any], ...]
    indexes: tuple[str, ...]
    words: tuple[tuple[str, str, str], ...]
    zone: Zone
    tier: Tier
    open_attr: OpenAttr
    grade: DataGrade
    supply: SupplyKind
    summary_zh: str
    summary_en: str
    price: Price | None = None


HOLIDAYS = Piece(
    slug="holidays",
    owner="service",
    title_zh="法定节假日与调休安排",
    title_en="Public holidays and shifted working days",
    file_name="节假日.csv",
    content=sources.holidays,
    steps=({"step": "dedupe", "columns": []},),
    indexes=("日期", "类型"),
    words=(
        ("日期", "日期", "Day"),
        ("星期", "星期", "Weekday"),
        ("类型", "工作日或休息日", "Working day or day off"),
        ("节日", "节日名称", "Holiday"),
        ("调休上班", "是否调休上班", "Shifted working day"),
    ),
    zone=Zone.GOVERNMENT,
    tier=Tier.PUBLIC_GOOD,
    open_attr=OpenAttr.UNCONDITIONAL,
    grade=DataGrade.G1,
    supply=SupplyKind.PUBLIC,
    summary_zh="2024 至 2026 年每一天是工作日还是休息日。",
    summary_en="Whether each day of 2024 to 2026 is worked.",
)
BEACHES = Piece(
    slug="beaches",
    owner="marine",
    title_zh="海水浴场水质与水温",
    title_en="Beach water and temperature",
    file_name="浴场.csv",
    content=sources.beaches,
    steps=({"step": "trim", "columns": ["浴场名称"]},),
    indexes=("监测日期", "浴场编号"),
    words=(
        ("监测日期", "监测日期", "Day"),
        ("浴场编号", "浴场编号", "Beach id"),
        ("浴场名称", "浴场名称", "Beach"),
        ("水温", "水温（摄氏度）", "Water temperature (°C)"),
        ("浪高", "浪高（米）", "Wave height (m)"),
        ("游泳建议", "游泳建议", "Advice"),
    ),
    zone=Zone.OCEAN,
    tier=Tier.PUBLIC_GOOD,
    open_attr=OpenAttr.UNCONDITIONAL,
    grade=DataGrade.G1,
    supply=SupplyKind.PUBLIC,
    summary_zh="夏季六处浴场的逐日水温、浪高与游泳建议（虚构数据）。",
    summary_en="Daily readings of six beaches in summer (invented data).",
)
ROADS = Piece(
    slug="road-speeds",
    owner="provider",
    title_zh="路段速度与拥堵指数",
    title_en="Road speeds and congestion",
    file_name="路段速度.csv",
    content=sources.road_speeds,
    steps=(
        {"step": "drop", "columns": ["sample_plate"]},
        {"step": "dedupe", "columns": []},
        {"step": "filter", "where": {"op": "between", "column": "speed_kmh", "least": 0, "greatest": 150}},
    ),
    indexes=("link_id", "measured_at", "district"),
    words=(
        ("link_id", "路段编号", "Road link"),
        ("road", "道路", "Road"),
        ("district", "区市", "District"),
        ("measured_at", "观测时间", "Measured at"),
        ("speed_kmh", "平均速度（千米/时）", "Mean speed (km/h)"),
        ("level", "拥堵等级", "Level"),
    ),
    zone=Zone.TRANSPORT,
    tier=Tier.COMMERCIAL,
    open_attr=OpenAttr.CONDITIONAL,
    grade=DataGrade.G2,
    supply=SupplyKind.ENTERPRISE,
    summary_zh="八条道路每半小时的平均速度（虚构数据），已去除车牌与异常值。",
    summary_en="Half-hourly speeds of eight roads (invented), plates and impossible values removed.",
    price=Price(call_fen=2, download_fen=50_000),
)
PORTS = Piece(
    slug="port-index",
    owner="provider",
    title_zh="港口箱量与堆场景气指数",
    title_en="Port throughput and yard index",
    file_name="港口指数.csv",
    content=sources.port_index,
    steps=({"step": "dedupe", "columns": []},),
    indexes=("week_end", "port_code"),
    words=(
        ("week_end", "周末日期", "Week ending"),
        ("port_code", "港区代码", "Port code"),
        ("port", "港区", "Port"),
        ("teu_index", "箱量指数", "Throughput index"),
        ("dwell_index", "堆存指数", "Dwell index"),
    ),
    zone=Zone.PORT,
    tier=Tier.COMMERCIAL,
    open_attr=OpenAttr.CONDITIONAL,
    grade=DataGrade.G2,
    supply=SupplyKind.ENTERPRISE,
    summary_zh="三个港区每周的箱量与堆场景气（虚构数据）。",
    summary_en="Weekly indices of three port areas (invented data).",
    price=Price(call_fen=10, download_fen=600_000),
)


def tell(house: House, say: Callable[[str], None]) -> None:
    """Play the whole story. `say` is told each step."""
    for piece in (HOLIDAYS, BEACHES, ROADS, PORTS):
        say(f"{piece.title_zh} {piece.title_en}")
        asset = _register(house, piece)
        _list(house, piece, asset)
    _leave_waiting(house)
    say("订单与付款 orders and payments")
    order = _order(house, "buyer", "road-speeds", prepay_fen=100_000)
    _approve_order(house, order)
    _pay(house, order)
    _order(house, "buyer2", "port-index", prepay_fen=800_000)
    house.pulse.beat()


def _describe(piece: Piece) -> Description:
    columns = [word[0] for word in piece.words]
    owner = organization({"provider": "company"}.get(piece.owner, piece.owner))
    return Description(
        title_zh=piece.title_zh,
        title_en=piece.title_en,
        abstract_zh=piece.summary_zh,
        abstract_en=piece.summary_en,
        provider_name=owner.name,
        provider_code=make_uscc(owner.body),
        code=f"370200-demo-{piece.slug}",
        category="演示/示例/数据",
        format_kind=FormatKind.SHEET,
        format="csv",
        share_type=ShareType.UNCONDITIONAL,
        open_attr=piece.open_attr,
        open_condition="" if piece.open_attr is OpenAttr.UNCONDITIONAL else "签订合同后使用",
        update_cycle=UpdateCycle.YEARLY,
        published_on=date(2026, 11, 1),
        keywords=(piece.title_zh[:8], "演示"),
        area="370200",
        coverage_from=date(2024, 1, 1),
        coverage_until=date(2026, 12, 31),
        industry="I65",
        system="演示系统",
        items=tuple(Item(name=name, type="text") for name in columns),
        source_kind=SourceKind.SELF_COLLECTED,
        source_statement="演示数据：按固定规则虚构，或来自自由许可的软件包。",
        rights=(
            Right(kind=RightKind.HOLD, scope="持有"),
            Right(kind=RightKind.USE, scope="加工使用"),
            Right(kind=RightKind.OPERATE, scope="对外提供"),
        ),
        grade=piece.grade,
        grade_basis="参照 GB/T 43697 附录 H",
        supply=piece.supply,
        contains_pi=False,
        contains_spi=False,
        committed=True,
    )


def _submitted(house: House, piece: Piece) -> str:
    actor = acting(house, piece.owner)
    path = house.incoming / f"demo-{piece.slug}"
    path.write_bytes(piece.content())
    found = inspect_apart(path, piece.file_name, house.workshop.limits)
    stored = house.objects.put_file(path)
    path.unlink()
    paper = house.objects.put_bytes(f"来源说明 {piece.slug}".encode())
    with house.store.unit(actor.id, actor.org) as unit:
        asset = registry.draft_asset(unit, actor, description=_describe(piece))
        registry.attach_file(
            unit,
            actor,
            asset.id,
            stored=stored,
            name=piece.file_name,
            format=found["format"],
            encoding=found["encoding"],
            rows=found["profile"]["rows"],
            profile=found["profile"],
        )
        registry.attach_evidence(unit, actor, asset.id, stored=paper, name="来源说明.txt")
        registry.submit_asset(unit, actor, asset.id)
    return asset.id


def _register(house: House, piece: Piece) -> str:
    asset_id = _submitted(house, piece)
    registrar = acting(house, "registrar")
    with house.store.unit(registrar.id, registrar.org) as unit:
        registry.accept_asset(unit, registrar, asset_id)
        registry.register_asset(unit, registrar, asset_id, reason=REASON)
    return asset_id


def _list(house: House, piece: Piece, asset_id: str) -> None:
    actor = acting(house, piece.owner)
    product_id = _build(house, piece, asset_id, actor)
    standing = _standing(piece)
    with house.store.view() as view:
        accepted = offers.standing_hash(view, actor, product_id, standing)
    with house.store.unit(actor.id, actor.org) as unit:
        case_id = listing.submit_listing(
            unit, actor, product_id, standing=standing, offer_sha256=accepted
        ).case_id
    assert case_id is not None
    for login in ("approver", "approver2"):
        decider = acting(house, login)
        with house.store.unit(decider.id, decider.org) as unit:
            done = listing.decide_listing(unit, decider, case_id, approve=True, reason=REASON)
        if done.listed_at is not None:
            return


def _build(house: House, piece: Piece, asset_id: str, actor: Actor) -> str:
    with house.store.view() as view:
        file = files_of(view, asset_id)[0]
    with house.store.unit(actor.id, actor.org) as unit:
        run = refinery.request_run(
            unit,
            asset_id=asset_id,
            asset_file_sha256=file.sha256,
            file_name=file.name,
            recipe=parse({"steps": list(piece.steps)}),
            encoding=file.encoding or None,
            indexes=piece.indexes,
            columns=[Column.parse(column) for column in file.profile["schema"]],
        )
    run = cleanse(house.store, house.objects, run.id, house.workshop)
    with house.store.unit(actor.id, actor.org) as unit:
        profile = Profile(
            title_zh=piece.title_zh,
            title_en=piece.title_en,
            summary_zh=piece.summary_zh,
            summary_en=piece.summary_en,
            description=piece.summary_zh,
            zone=piece.zone,
            tier=piece.tier,
            delivery=(DeliveryMode.API, DeliveryMode.FILE),
            scenarios=("演示",),
            keywords=("演示",),
        )
        product = catalogue.draft_product(unit, actor, slug=piece.slug, asset_id=asset_id, profile=profile)
        words = [Meaning(name=name, zh=zh, en=en) for name, zh, en in piece.words]
        catalogue.publish_version(unit, actor, product.id, output=output_of(run), dictionary=words)
        catalogue.add_plan(
            unit,
            actor,
            product.id,
            code="payg" if piece.price else "free",
            title_zh="按量计费" if piece.price else "免费开放",
            title_en="Pay as you go" if piece.price else "Free and open",
            kind=PlanKind.PER_CALL if piece.price else PlanKind.FREE,
            price=piece.price or Price(),
        )
        return product.id


def _standing(piece: Piece) -> Standing:
    source = {"zh": "演示数据，虚构或自由许可", "en": "demo data, invented or freely licensed"}
    cycle = {"zh": "每年", "en": "yearly"}
    if piece.tier is Tier.PUBLIC_GOOD:
        return Standing(
            template_slug="open-license",
            template_version="2026.1",
            purposes=tuple(purpose for purpose in Purpose if purpose is not Purpose.RESALE),
            months=None,
            slots={"data_source": source, "update_cycle": cycle},
        )
    return Standing(
        template_slug="data-provision",
        template_version="2026.1",
        purposes=(Purpose.INDUSTRY, Purpose.SECTOR, Purpose.INTERNAL_BUSINESS),
        months=12,
        min_prepay_fen=10_000,
        slots={
            "data_content": {"zh": piece.summary_zh, "en": piece.summary_en},
            "data_scale": {"zh": "以版本页所列行数为准", "en": "as listed with each version"},
            "data_source": source,
            "time_range": {"zh": "2024 至 2026 年", "en": "2024 to 2026"},
            "update_cycle": cycle,
            "quality": [{"metric": "必填缺失率", "target": "≤1%", "method": "全量统计"}],
            "payee_name": "青岛数据集团有限公司",
            "payee_bank": "示例银行青岛分行",
            "payee_account": "3700 0000 0000 0001",
        },
    )


def _leave_waiting(house: House) -> None:
    """An asset on the registrar's desk."""
    piece = Piece(
        slug="park-activity",
        owner="provider",
        title_zh="园区用电活跃度指数",
        title_en="Electricity activity of parks",
        file_name="园区活跃度.csv",
        content=sources.enterprise_activity,
        steps=(),
        indexes=(),
        words=(("park_id", "园区", "Park"), ("month", "月份", "Month"), ("activity_index", "指数", "Index")),
        zone=Zone.GOVERNMENT,
        tier=Tier.COMMERCIAL,
        open_attr=OpenAttr.CONDITIONAL,
        grade=DataGrade.G2,
        supply=SupplyKind.ENTERPRISE,
        summary_zh="四十个园区十二个月的活跃度（虚构数据）。",
        summary_en="Twelve months of forty parks (invented data).",
    )
    _submitted(house, piece)


def _order(house: House, login: str, slug: str, *, prepay_fen: int) -> Order:
    buyer = acting(house, login)
    zone = house.settings.timezone
    with house.store.unit(buyer.id, buyer.org) as unit:
        page = catalogue_queries.product_page(unit, buyer, slug)
        return trading.place_order(
            unit,
            buyer,
            product_id=page.product.id,
            plan_id=page.plans[0].id,
            purpose=Purpose.INTERNAL_BUSINESS,
            scenario="演示：用于内部运力调度与分析",
            months=3,
            prepay_fen=prepay_fen,
            rules_version=RULES_VERSION,
            zone=zone,
        )


def _approve_order(house: House, order: Order) -> None:
    decider = acting(house, "approver")
    assert order.case_id is not None
    with house.store.unit(decider.id, decider.org) as unit:
        trading.decide_order(
            unit,
            decider,
            order.case_id,
            approve=True,
            reason=REASON,
            expected_version=None,
            zone=house.settings.timezone,
        )


def _pay(house: House, order: Order) -> None:
    """The buyer signs; two finance people see the money arrive."""
    buyer = acting(house, "buyer")
    key = house.document_key()
    with house.store.unit(buyer.id, buyer.org) as unit:
        held = trading_queries.order(unit, buyer, order.id)
        text = one_contract(unit, held.contract_id or "")
        signed = trading.accept_contract(
            unit, buyer, order.id, content_hash=text.content_hash, key=key, zone=house.settings.timezone
        )
    assert signed.payment_id is not None
    first, second = acting(house, "finance"), acting(house, "finance2")
    with house.store.unit(first.id, first.org) as unit:
        billing.report_received(
            unit, first, signed.payment_id, amount_fen=signed.due_fen, bank_reference="DEMO202611220001"
        )
    with house.store.unit(second.id, second.org) as unit:
        billing.confirm_payment(unit, second, signed.payment_id)
