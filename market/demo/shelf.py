"""The demo's catalogue: forty products a Qingdao data company could list, with their columns, grades and prices."""

from dataclasses import dataclass

from contracts.terms import DeliveryMode, Tier
from market.catalogue.rules import PlanKind, Price, Zone
from market.policy.inputs import DataGrade, OpenAttr, ProductForm, SupplyKind

_NOTHING = Price()
_MODES = {"F": DeliveryMode.FILE, "A": DeliveryMode.API, "C": DeliveryMode.COMPUTE, "V": DeliveryMode.VERIFY}


@dataclass(frozen=True, slots=True)
class Row:
    """产品行. One product: who supplies it, what it holds, which side of the line, at what price (fen with tax)."""

    code: str
    slug: str
    zh: str
    en: str
    unit: str  # 供数单位
    zone: Zone
    columns: str
    grade: DataGrade
    open_attr: OpenAttr
    modes: str
    supply: SupplyKind = SupplyKind.PUBLIC
    kind: PlanKind = PlanKind.FREE
    price: Price = _NOTHING
    form: ProductForm = ProductForm.RAW_OPEN
    permit: str = ""
    pi_basis: str = ""
    owner: str = "provider"
    prepay_fen: int = 10_000

    @property
    def tier(self) -> Tier:
        """P rows are public good, C rows commercial."""
        return Tier.PUBLIC_GOOD if self.code.startswith("P") else Tier.COMMERCIAL

    @property
    def delivery(self) -> tuple[DeliveryMode, ...]:
        """The ways of delivery."""
        return tuple(_MODES[mode] for mode in self.modes)

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns, the common ones last."""
        return (*self.columns.split(), "data_date", "area_code", "update_time", "source_code")


def _open(
    code: str,
    slug: str,
    zh: str,
    en: str,
    unit: str,
    zone: Zone,
    modes: str,
    columns: str,
    owner: str = "provider",
) -> Row:
    return Row(
        code, slug, zh, en, unit, zone, columns, DataGrade.G1, OpenAttr.UNCONDITIONAL, modes, owner=owner
    )


G2, G3, G4 = DataGrade.G2, DataGrade.G3, DataGrade.G4
K, N = OpenAttr.CONDITIONAL, OpenAttr.CLOSED
E, MIX = SupplyKind.ENTERPRISE, SupplyKind.MIXED
CALL, ROWS, FEE, LOAD = PlanKind.PER_CALL, PlanKind.PER_ROW, PlanKind.SUBSCRIPTION, PlanKind.PER_DOWNLOAD
MODEL, ANALYSED = ProductForm.MODELLED, ProductForm.ANALYSED

FREE = (
    _open("P01", "beach-water", "海水浴场水质与水温", "Beach water quality and temperature", "青岛市海洋发展局", Zone.OCEAN, "FA", "beach_id beach_name water_temp_c wave_h_m clarity ecoli_level swim_advice", "marine"),
    _open("P02", "green-tide", "浒苔分布日报", "Daily green tide cover", "青岛市海洋发展局", Zone.OCEAN, "F", "grid_id lon lat cover_ratio area_km2 drift_dir", "marine"),
    _open("P03", "tide-levels", "近岸海洋站潮位日值", "Daily tide levels", "青岛市海洋发展局", Zone.OCEAN, "F", "station_id tide_high_m tide_low_m sea_temp_c salinity", "marine"),
    _open("P04", "fishing-zones", "禁渔区与养殖区公告", "Fishing and farming zones", "青岛市海洋发展局", Zone.OCEAN, "F", "zone_id polygon_wkt crs rule valid_from valid_to", "marine"),
    _open("P05", "weather-daily", "地面气象站日值", "Daily surface weather", "青岛市气象局", Zone.WEATHER, "FA", "station_id tmax tmin rain_mm wind_max humidity"),
    _open("P06", "weather-warnings", "气象预警历史", "Weather warnings", "青岛市气象局", Zone.WEATHER, "FA", "warn_id type level issue_time lift_time district"),
    _open("P07", "air-quality", "空气质量站点小时值", "Hourly air quality", "青岛市生态环境局", Zone.ENVIRONMENT, "FA", "site_id aqi pm25 pm10 o3 no2 so2 co"),
    _open("P08", "bus-lines", "公交线路与站点", "Bus lines and stops", "青岛市交通运输局", Zone.TRANSPORT, "F", "line_id direction stop_seq stop_name lon lat first_bus last_bus"),
    _open("P09", "metro-access", "地铁站点与无障碍设施", "Metro stations and accessibility", "青岛地铁集团", Zone.TRANSPORT, "F", "station_id exit_no lift toilet aed lon lat"),
    _open("P10", "car-parks", "停车场静态信息", "Car parks", "青岛市公安局交警支队", Zone.PARKING, "F", "lot_id name spaces fee_rule lon lat open_hours"),
    _open("P11", "company-register", "企业登记基本公示信息", "Company register, public part", "青岛市行政审批服务局", Zone.CREDIT, "F", "uscc name ent_type reg_org est_date status industry_code district", "service"),
    _open("P12", "permits-penalties", "行政许可与处罚公示", "Permits and penalties", "青岛市信用办", Zone.CREDIT, "FA", "doc_no uscc item decision_date authority valid_to"),
    _open("P13", "dishonest-entities", "失信主体（法人）名单", "Dishonest legal persons", "青岛市信用办", Zone.CREDIT, "F", "uscc name list_type listed_on removed_on"),
    _open("P14", "hospitals", "医疗机构与科室名录", "Hospitals and departments", "青岛市卫生健康委", Zone.HEALTH, "F", "org_id name level dept address hotline insured"),
    _open("P15", "insured-drugs", "医保药品目录与定点药店", "Insured drugs and pharmacies", "青岛市医疗保障局", Zone.HEALTH, "F", "drug_code generic_name form pay_class shop_id"),
    _open("P16", "food-tests", "食品抽检结果", "Food test results", "青岛市市场监管局", Zone.FOOD, "F", "sample_id food_class producer_uscc item result std"),
    _open("P17", "care-homes", "养老机构与床位", "Care homes and beds", "青岛市民政局", Zone.ELDERLY, "F", "org_id name beds vacant care_level price_range"),
    _open("P18", "school-districts", "学校与学区范围", "Schools and their districts", "青岛市教育局", Zone.EDUCATION, "F", "school_id name stage polygon_wkt crs seats"),
    Row("P19", "power-by-district", "分区县月度用电量", "Electricity by district and month", "国网青岛供电公司", Zone.ENERGY, "month district industry_top kwh", G2, K, "F"),
    Row("P20", "trip-sample", "出行 OD 公益科研样本", "Trip sample for research", "青岛市交通运输局", Zone.TRANSPORT, "day hour from_zone to_zone mode trips_bucket", G2, K, "C"),
)  # fmt: skip
SOLD = (
    Row("C01", "sea-forecast", "近海精细化海况预报 API", "Fine sea forecast", "青岛市海洋发展局", Zone.OCEAN, "grid_id lead_h wave_h period current_u current_v conf", G2, K, "A", kind=CALL, price=Price(call_fen=8), form=MODEL),
    Row("C02", "ocean-ranch-alerts", "海洋牧场环境预警", "Ocean ranch alerts", "青岛市海洋发展局", Zone.OCEAN, "farm_id do_mg_l temp risk_score advice", G2, K, "A", kind=FEE, price=Price(fee_fen=120_000), form=MODEL),
    Row("C03", "ship-arrivals", "船舶到港时间预测", "Ship arrival forecasts", "港口集团与海事部门", Zone.PORT, "voyage_hash port berth_area eta_p50 eta_p90", G3, K, "A", MIX, CALL, Price(call_fen=50), MODEL),
    Row("C04", "port-climate", "港口箱量与堆场景气指数", "Port throughput climate", "港口集团", Zone.PORT, "week port teu_index dwell_idx", G2, N, "F", E, FEE, Price(fee_fen=200_000), ANALYSED, owner="dealer"),
    Row("C05", "road-tti", "路段速度与拥堵指数（公共数据）", "Road speed and congestion, public data", "青岛市公安局交警支队", Zone.TRANSPORT, "link_id ts5min speed tti level", G2, K, "A", kind=ROWS, price=Price(row_fen=2), form=ANALYSED, prepay_fen=50_000),
    Row("C06", "traffic-report", "交通流分析报告", "Traffic flow reports", "青岛市交通运输局", Zone.TRANSPORT, "section period aadt peak od_top", G2, K, "F", kind=LOAD, price=Price(download_fen=800_000), form=ANALYSED),
    Row("C07", "parking-live", "停车场实时余位", "Live parking", "停车集团与交警支队", Zone.PARKING, "lot_id free ts forecast_30m", G2, K, "A", MIX, CALL, Price(call_fen=1), MODEL),
    Row("C08", "bus-ridership", "公交客流聚合", "Bus ridership, aggregated", "青岛市交通运输局", Zone.TRANSPORT, "line_id half_hour on_cnt off_cnt", G3, K, "AC", kind=FEE, price=Price(fee_fen=200_000), form=ANALYSED),
    Row("C09", "weather-risk", "气象风险保险因子", "Weather risk factors", "青岛市气象局", Zone.WEATHER, "grid_id peril return_period factor", G2, K, "F", kind=FEE, price=Price(fee_fen=125_000), form=MODEL, permit="气象信息服务备案 演示 001"),
    Row("C10", "rain-nowcast", "高分辨率短临降水", "Rain nowcast", "青岛市气象局", Zone.WEATHER, "grid_1km lead_min mm prob", G2, K, "A", kind=CALL, price=Price(call_fen=5), form=MODEL, permit="气象信息服务备案 演示 001"),
    Row("C11", "company-changes", "企业工商变更监测", "Company changes", "青岛市行政审批服务局", Zone.GOVERNMENT, "uscc event before_hash after_summary event_date", G2, K, "A", kind=ROWS, price=Price(row_fen=10), form=ANALYSED),
    Row("C12", "public-credit", "企业公共信用综合评价", "Public credit of companies", "青岛市信用办", Zone.CREDIT, "uscc score_band factor_1 factor_2 factor_3 factor_4 factor_5 as_of", G3, K, "A", kind=CALL, price=Price(call_fen=100), form=MODEL, permit="企业征信备案 演示 002"),
    Row("C13", "qingyihe-check", "青易核·企业信息核验", "Qingyihe company check", "青岛市行政审批服务局", Zone.GOVERNMENT, "uscc name_match status_match rep_match", G3, K, "V", kind=CALL, price=Price(call_fen=30), form=MODEL),
    Row("C14", "health-cert-check", "电子健康证明核验", "Health certificate check", "青岛市卫生健康委", Zone.HEALTH, "cert_no_hash valid expiry_month", G4, N, "V", kind=CALL, price=Price(call_fen=20), form=MODEL, permit="卫生健康信息服务备案 演示 003", pi_basis="逐次单独同意（consent_id），影响评估 PIA-2026-014"),
    Row("C15", "disease-burden", "区域疾病负担统计", "Disease burden by district", "青岛市卫生健康委", Zone.HEALTH, "district icd_chapter age_band rate ci", G3, K, "C", kind=CALL, price=Price(call_fen=2_000_000), form=ANALYSED, permit="卫生健康信息服务备案 演示 003"),
    Row("C16", "power-activity", "企业用电活跃度指数", "Electricity activity of companies", "国网青岛供电公司", Zone.ENERGY, "uscc month index_0_100 yoy", G3, N, "A", E, CALL, Price(call_fen=80), ANALYSED, owner="dealer"),
    Row("C17", "park-carbon", "园区碳排核算因子", "Carbon factors of parks", "园区与生态环境局", Zone.ENERGY, "park_id scope factor unit basis", G2, K, "F", MIX, FEE, Price(fee_fen=100_000), MODEL),
    Row("C18", "rubber-index", "橡胶产业价格与库存指数", "Rubber price and stock", "橡胶谷集团", Zone.INDUSTRY, "date grade price stock_idx", G2, N, "A", E, FEE, Price(fee_fen=300_000), ANALYSED, owner="dealer"),
    Row("C19", "footfall", "商圈客流热力（聚合）", "Footfall, aggregated", "商业数据企业", Zone.TRADE, "grid_id hour idx dwell_band", G3, N, "A", E, FEE, Price(fee_fen=500_000), ANALYSED, owner="dealer"),
    Row("C20", "ocean-ai-set", "海洋 AI 训练数据集（标注影像）", "Ocean images for training", "海洋科技企业", Zone.OCEAN, "img_id sensor label bbox licence split", G2, N, "F", E, LOAD, Price(download_fen=8_000_000), ProductForm.MODELLED, owner="dealer"),
)  # fmt: skip
ROWS_OF_DEMO = (*FREE, *SOLD)

# What the column names mean; a name not here stands for itself.
MEANINGS: dict[str, str] = {
    "data_date": "数据日期", "area_code": "区划代码", "update_time": "更新时间", "source_code": "来源代码", "beach_id": "浴场编号",
    "beach_name": "浴场名称", "water_temp_c": "水温（℃）", "wave_h_m": "浪高（米）", "clarity": "透明度", "ecoli_level": "粪大肠菌等级",
    "swim_advice": "游泳建议", "grid_id": "网格编号", "lon": "经度", "lat": "纬度", "cover_ratio": "覆盖率", "area_km2": "面积（平方千米）",
    "drift_dir": "漂移方向", "station_id": "站点编号", "tide_high_m": "高潮位（米）", "tide_low_m": "低潮位（米）", "sea_temp_c": "海温（℃）",
    "salinity": "盐度", "zone_id": "区域编号", "polygon_wkt": "边界（WKT）", "crs": "坐标系", "rule": "规定", "valid_from": "生效日期",
    "valid_to": "失效日期", "tmax": "最高气温", "tmin": "最低气温", "rain_mm": "降水（毫米）", "wind_max": "最大风速", "humidity": "湿度",
    "warn_id": "预警编号", "type": "类型", "level": "等级", "issue_time": "发布时间", "lift_time": "解除时间", "district": "区市",
    "line_id": "线路编号", "stop_name": "站名", "lot_id": "停车场编号", "name": "名称", "spaces": "泊位数", "uscc": "统一社会信用代码",
    "month": "月份", "kwh": "用电量（千瓦时）", "price": "价格", "status": "状态", "week": "周", "port": "港区", "speed": "速度",
    "hour": "小时", "score_band": "评分段", "org_id": "机构编号", "school_id": "学校编号", "item": "项目", "result": "结果",
    "factor": "因子", "link_id": "路段编号", "farm_id": "牧场编号", "site_id": "监测点编号",
}  # fmt: skip
