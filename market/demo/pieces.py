"""The demo's assets and the products made of them: what each is called, where it comes from, what it costs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contracts.terms import DeliveryMode, Tier
from market.catalogue.rules import PlanKind, Price, Zone
from market.demo import sources
from market.policy.inputs import DataGrade, OpenAttr, ProductForm, SourceKind, SupplyKind


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
    kind: PlanKind = PlanKind.PER_CALL
    delivery: tuple[DeliveryMode, ...] = (DeliveryMode.API, DeliveryMode.FILE)
    form: ProductForm | None = None
    permit: str = ""
    pi_basis: str = ""
    unit: str = ""  # the supplying unit, where it is not the owner
    prepay_fen: int = 10_000
    source: SourceKind = SourceKind.SELF_COLLECTED
    assessed: bool = True  # whether the impact assessment of personal information is shown


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
    supply=SupplyKind.PUBLIC,
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
PARKS = Piece(
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
