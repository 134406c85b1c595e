"""What a product, a version and a plan must be, and how a listing moves; pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from contracts.terms import DeliveryMode, Purpose, RightKind, Territory, Tier, VersionRule
from market.policy.inputs import DataGrade, ProductForm
from metering.upstream import Declaration
from storage.kernel.machine import Machine
from storage.kernel.money import MAX_FEN
from storage.kernel.problem import Fault
from storage.kernel.words import Worded, Words


class ProductState(Worded):
    """产品状态. What the public can see of it."""

    DRAFT = "draft", "草稿", "Draft"
    LISTED = "listed", "已上架", "Listed"
    SUSPENDED = "suspended", "已暂停", "Suspended"
    DELISTED = "delisted", "已下架", "Delisted"


class ListingState(Worded):
    """挂牌状态."""

    DRAFT = "draft", "草稿", "Draft"
    SUBMITTED = "submitted", "待审批", "Waiting for approval"
    RETURNED = "returned", "已退回", "Returned"
    LISTED = "listed", "已挂牌", "Listed"
    SUSPENDED = "suspended", "已暂停", "Suspended"
    DELISTED = "delisted", "已摘牌", "Delisted"


class Hold(Worded):
    """扣住原因. Why a listing was suspended by itself; compliance suspensions have none."""

    NEGATIVE_LIST = "negative_list", "命中负面清单", "On the negative list"
    MANDATE = "mandate", "没有有效授权", "No mandate in force"


LISTING = Machine(
    "listing",
    ListingState.DRAFT,
    {
        (ListingState.DRAFT, "submit"): ListingState.SUBMITTED,
        (ListingState.RETURNED, "submit"): ListingState.SUBMITTED,
        (ListingState.SUBMITTED, "approve"): ListingState.LISTED,
        (ListingState.SUBMITTED, "return"): ListingState.RETURNED,
        (ListingState.SUBMITTED, "withdraw"): ListingState.RETURNED,
        (ListingState.LISTED, "suspend"): ListingState.SUSPENDED,
        (ListingState.SUSPENDED, "resume"): ListingState.LISTED,
        (ListingState.LISTED, "delist"): ListingState.DELISTED,
        (ListingState.SUSPENDED, "delist"): ListingState.DELISTED,
    },
)
PRODUCT_STATE = {
    ListingState.DRAFT: ProductState.DRAFT,
    ListingState.SUBMITTED: ProductState.DRAFT,
    ListingState.RETURNED: ProductState.DRAFT,
    ListingState.LISTED: ProductState.LISTED,
    ListingState.SUSPENDED: ProductState.SUSPENDED,
    ListingState.DELISTED: ProductState.DELISTED,
}


class ProductKind(Worded):
    """产品类型."""

    DATASET = "dataset", "数据集", "Data set"
    API = "api", "数据接口", "Data API"
    REPORT = "report", "数据报告", "Report"
    VERIFICATION = "verification", "核验服务", "Verification service"


class Zone(Worded):
    """专区. The sector a product belongs to; one facet of the catalogue."""

    GOVERNMENT = "government", "政务服务", "Government services"
    TRANSPORT = "transport", "交通出行", "Transport"
    PARKING = "parking", "停车", "Parking"
    OCEAN = "ocean", "海洋", "Ocean"
    PORT = "port", "港口航运", "Ports and shipping"
    WEATHER = "weather", "气象", "Weather"
    ENVIRONMENT = "environment", "生态环境", "Environment"
    HEALTH = "health", "医疗健康", "Health"
    ELDERLY = "elderly", "养老", "Elderly care"
    EDUCATION = "education", "教育", "Education"
    FOOD = "food", "食品安全", "Food safety"
    COMMUNITY = "community", "社区治理", "Community"
    RURAL = "rural", "乡村振兴", "Rural development"
    AGRICULTURE = "agriculture", "农业", "Agriculture"
    TOURISM = "tourism", "文化旅游", "Culture and tourism"
    FINANCE = "finance", "金融", "Finance"
    CREDIT = "credit", "信用", "Credit"
    INDUSTRY = "industry", "工业制造", "Manufacturing"
    ENERGY = "energy", "能源", "Energy"
    TRADE = "trade", "商贸流通", "Trade and logistics"
    HOUSING = "housing", "住房城建", "Housing and construction"
    EMPLOYMENT = "employment", "就业人才", "Employment"
    SAFETY = "safety", "公共安全", "Public safety"
    MAPS = "maps", "地理信息", "Geographic information"


# Sectors in which selling data asks for a permit or filing (征信、测绘、气象、医疗).
PERMIT_ZONES = frozenset({Zone.CREDIT, Zone.MAPS, Zone.WEATHER, Zone.HEALTH})


class PlanKind(Worded):
    """计价方式."""

    FREE = "free", "免费", "Free"
    PER_CALL = "per_call", "按次", "Per call"
    PER_ROW = "per_row", "按条", "Per row"
    PER_DOWNLOAD = "per_download", "按下载", "Per download"
    SUBSCRIPTION = "subscription", "包月", "Monthly subscription"


# Which price each kind of plan lives by.
LEADING = {
    PlanKind.PER_CALL: "call_fen",
    PlanKind.PER_ROW: "row_fen",
    PlanKind.PER_DOWNLOAD: "download_fen",
    PlanKind.SUBSCRIPTION: "fee_fen",
}
PRICES = ("call_fen", "row_fen", "download_fen", "fee_fen")
QUOTAS = ("included_calls", "included_rows", "included_downloads")
SAMPLE_ROWS = 20
CODE = re.compile(r"(?=.{1,40}\Z)[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
SLUG = re.compile(r"(?=.{3,60}\Z)[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)

Short = Annotated[str, Field(max_length=200)]
Word = Annotated[str, Field(min_length=1, max_length=40)]


class Profile(BaseModel):
    """产品信息. What the provider writes about a product; an edit changes only the fields that are set."""

    model_config = ConfigDict(frozen=True, from_attributes=True, extra="forbid")

    title_zh: Short = ""
    title_en: Short = ""
    summary_zh: Annotated[str, Field(max_length=500)] = ""
    summary_en: Annotated[str, Field(max_length=500)] = ""
    description: Annotated[str, Field(max_length=20_000)] = ""
    kind: ProductKind = ProductKind.DATASET
    zone: Zone = Zone.GOVERNMENT
    tier: Tier = Tier.PUBLIC_GOOD
    delivery: Annotated[tuple[DeliveryMode, ...], Field(max_length=5)] = ()
    scenarios: Annotated[tuple[Word, ...], Field(max_length=20)] = ()
    keywords: Annotated[tuple[Word, ...], Field(max_length=20)] = ()
    form: ProductForm | None = None  # None: raw for public good, cleansed for commercial
    permit: Annotated[str, Field(max_length=100)] = ""  # the number of a sector permit or filing
    cover: dict[Word, Short] = {}  # pydantic copies defaults; {"color": …, "icon": …}

    def columns(self, *, only_set: bool = False) -> dict[str, Any]:
        """The values as columns keep them; lists and the cover as plain JSON."""
        names = self.model_fields_set if only_set else set(type(self).model_fields)
        plain = self.model_dump(mode="json")
        return {name: plain[name] if name in _JSON else getattr(self, name) for name in sorted(names)}


_JSON = frozenset({"delivery", "scenarios", "keywords", "cover"})


class File(BaseModel, frozen=True):
    """产品文件. One file of a version in the object store."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]
    name: Short


class Column(BaseModel, frozen=True):
    """字段. Name and type of one column, as the gateway serves it."""

    name: Short
    type: Annotated[str, Field(max_length=40)]


class Meaning(BaseModel, frozen=True):
    """数据字典. What one column means, in both languages."""

    name: Short
    zh: Short
    en: Short
    type: Annotated[str, Field(max_length=40)] = ""
    note: Annotated[str, Field(max_length=1000)] = ""


class Output(BaseModel, frozen=True):
    """清洗结果. What a finished run of the refinery hands over, as plain values.

    files: "csv", "parquet" and optionally "serving" (the indexed copy the gateway reads).
    """

    run_id: str
    asset_id: str
    succeeded: bool
    rows: Annotated[int, Field(ge=0)]
    columns: Annotated[tuple[Column, ...], Field(max_length=2000)]
    query_columns: tuple[str, ...] = ()
    files: dict[str, File]
    sample: tuple[dict[str, Any], ...] = ()


class Price(BaseModel, frozen=True):
    """计价. What a plan charges, in whole fen with tax, and what may be taken over a license's whole term.

    None of `included_*` is no limit; `per_hit` charges only answers with content.
    """

    call_fen: Annotated[int, Field(strict=True, ge=0, le=MAX_FEN)] = 0
    row_fen: Annotated[int, Field(strict=True, ge=0, le=MAX_FEN)] = 0
    download_fen: Annotated[int, Field(strict=True, ge=0, le=MAX_FEN)] = 0
    fee_fen: Annotated[int, Field(strict=True, ge=0, le=MAX_FEN)] = 0
    included_calls: Annotated[int, Field(strict=True, gt=0, le=10**12)] | None = None
    included_rows: Annotated[int, Field(strict=True, gt=0, le=10**15)] | None = None
    included_downloads: Annotated[int, Field(strict=True, gt=0, le=10**9)] | None = None
    per_hit: bool = False
    tax_rate_bp: Annotated[int, Field(strict=True, ge=0, le=10_000)] = 600  # basis points: 600 is 6 %

    @property
    def highest_fen(self) -> int:
        """The largest of the four prices; 0 means free."""
        return max(self.call_fen, self.row_fen, self.download_fen, self.fee_fen)


class Standing(BaseModel):
    """挂牌要约条件. What every buyer is offered alike, whatever the plan; the provider accepts it at listing.

    slots: the template's blanks that are the provider's to fill. months: the longest term.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    template_slug: Short
    template_version: Short
    purposes: Annotated[tuple[Purpose, ...], Field(min_length=1)]
    territory: Territory = Territory.MAINLAND
    rights: tuple[RightKind, ...] = (RightKind.USE,)
    version_rule: VersionRule = VersionRule.LATEST
    months: Annotated[int, Field(strict=True, gt=0, le=240)] | None = 12
    min_prepay_fen: Annotated[int, Field(strict=True, ge=0, le=MAX_FEN)] = 0
    slots: dict[str, Any] = {}  # pydantic copies defaults


def standing_faults(tier: Tier, standing: Standing, held: Collection[str]) -> list[Fault]:
    """要约规则. Public good asks for no money ahead; who lets others supply the data holds that right.

    held: the kinds of rights the asset was registered with.
    """
    faults = []
    if tier is Tier.PUBLIC_GOOD and standing.min_prepay_fen:
        words = Words(
            "公益产品不收费，最低预付金额须为零。", "Public good is free: the least prepayment must be zero."
        )
        faults.append(Fault("min_prepay_fen", "offer.prepay", words))
    resale, operate = Purpose.RESALE in standing.purposes, RightKind.OPERATE in standing.rights
    if resale and not operate:
        words = Words(
            "允许对外经营须同时授予数据经营权；请勾选该权利或去掉该目的。",
            "Supply to others needs the right to supply: grant it as well, or leave the purpose out.",
        )
        faults.append(Fault("rights", "rights.resale", words))
    if (resale or operate) and RightKind.OPERATE not in held:
        words = Words(
            "该数据资产未登记数据经营权，不能授予他人经营；请先变更登记或去掉对外经营。",
            "The asset is not registered with the right to supply others; have it added, or leave resale out.",
        )
        faults.append(Fault("purposes" if resale else "rights", "rights.held", words))
    return faults


def slug_faults(slug: str) -> list[Fault]:
    """A slug is the product's address for ever: 3 to 60 of a-z, 0-9 and single hyphens between."""
    if SLUG.fullmatch(slug):
        return []
    words = Words(
        "产品标识为 3 至 60 位小写字母或数字，可用单个连字符分隔。",
        "The slug has 3 to 60 lower-case letters or digits, parted by single hyphens.",
    )
    return [Fault("slug", "slug.form", words)]


def code_faults(code: str) -> list[Fault]:
    """A plan's code: at most 40 of a-z, 0-9 and single hyphens between."""
    if CODE.fullmatch(code):
        return []
    words = Words(
        "方案代码为 1 至 40 位小写字母或数字，可用单个连字符分隔。",
        "A code has 1 to 40 lower-case letters or digits, parted by single hyphens.",
    )
    return [Fault("code", "plan.code", words)]


def plan_faults(tier: Tier, kind: PlanKind, price: Price) -> list[Fault]:
    """计价规则. Public good is free, a free plan costs nothing, every other kind has its own price."""
    faults = []
    if tier is Tier.PUBLIC_GOOD and (kind is not PlanKind.FREE or price.highest_fen):
        words = Words("公益产品只能免费提供。", "A public-good product is free.")
        faults.append(Fault("kind", "T10", words))
    if kind is PlanKind.FREE and price.highest_fen:
        words = Words("免费方案的各项价格必须为零。", "A free plan has no price.")
        faults.append(Fault("kind", "plan.free", words))
    leading = LEADING.get(kind)
    if leading and not getattr(price, leading):
        words = Words(f"{kind.words.zh}方案须填写对应单价。", f"A plan of this kind needs {leading}.")
        faults.append(Fault(leading, "plan.price", words))
    return faults


def profile_faults(profile: Profile) -> list[Fault]:
    """挂牌必填项. What a product page cannot do without."""
    wanted = {
        "title_zh": Words("中文名称", "title in Chinese"),
        "title_en": Words("英文名称", "title in English"),
        "summary_zh": Words("中文简介", "summary in Chinese"),
        "summary_en": Words("英文简介", "summary in English"),
    }
    return [
        Fault(name, "required", Words(f"请填写{words.zh}。", f"Fill in: {words.en}."))
        for name, words in wanted.items()
        if not getattr(profile, name).strip()
    ]


def interface_faults(
    profile: Profile, plans: Sequence[tuple[PlanKind, Price]], declared: Declaration | None, *, released: bool
) -> list[Fault]:
    """供方接口规则. A provider's own API is a commercial product by itself, declared, and priced by what it is.

    declared: None when nothing is declared. released: whether the newest version is that of a declared API.
    """
    faults = []
    if DeliveryMode.API_CALL not in profile.delivery:
        if released:
            words = Words(
                "产品已不再以供方接口交付，请发布清洗后的版本。",
                "The product is not delivered by the provider's API any more: publish a cleansed version.",
            )
            faults.append(Fault("version", "interface.version", words))
        return faults
    if len(profile.delivery) > 1:
        words = Words(
            "供方接口须单独成为一个产品。",
            "The provider's own API is a product by itself: no other delivery.",
        )
        faults.append(Fault("delivery", "interface.alone", words))
    if profile.tier is not Tier.COMMERCIAL:
        words = Words(
            "公益产品不以供方接口交付，请发布数据文件或查询。",
            "Public-good data is not delivered by a provider's API: publish files or rows.",
        )
        faults.append(Fault("delivery", "interface.tier", words))
    if declared is None or not released:
        words = Words("请先申报供方接口。", "Declare the provider's API first.")
        faults.append(Fault("interface", "interface.declared", words))
    if any(
        kind in {PlanKind.PER_ROW, PlanKind.PER_DOWNLOAD} or p.row_fen or p.download_fen for kind, p in plans
    ):
        words = Words("供方接口按次或包月计价。", "Calls are priced per call or per month.")
        faults.append(Fault("plans", "interface.price", words))
    if declared is not None and declared.hit is None and any(price.per_hit for _, price in plans):
        words = Words(
            "查得计费须在接口申报中写明查得条件。", "Charging per hit needs a condition in the declaration."
        )
        faults.append(Fault("plans", "interface.hit", words))
    return faults


def version_faults(asset_id: str, output: Output, dictionary: Sequence[Meaning]) -> list[Fault]:
    """版本规则. A version comes from a successful run of this product's asset and explains every column."""
    faults = []
    if not output.succeeded:
        words = Words("清洗未成功，不能发布。", "The run did not succeed; it cannot be published.")
        faults.append(Fault("run", "version.cleansed", words))
    if output.asset_id != asset_id:
        words = Words("该清洗结果不属于本产品的数据资产。", "The run is not of this product's asset.")
        faults.append(Fault("run", "version.asset", words))
    if not {"csv", "parquet"} <= set(output.files):
        words = Words("缺少 CSV 或 Parquet 文件。", "The CSV or the Parquet file is missing.")
        faults.append(Fault("files", "version.files", words))
    names = [column.name for column in output.columns]
    if not names or len(set(names)) < len(names):
        words = Words("字段不能为空或重名。", "Columns are present and have different names.")
        faults.append(Fault("columns", "version.columns", words))
    if strange := set(output.query_columns) - set(names):
        words = Words("查询字段不存在。", f"No such columns: {', '.join(sorted(strange))}.")
        faults.append(Fault("query_columns", "version.columns", words))
    told = {meaning.name for meaning in dictionary if meaning.zh.strip()}
    if silent := sorted(set(names) - told):
        words = Words(
            f"数据字典缺少字段说明：{'、'.join(silent)}", f"The dictionary misses: {', '.join(silent)}"
        )
        faults.append(Fault("dictionary", "version.dictionary", words))
    return faults


def public_sample(grade: DataGrade, sample: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """样例. At most 20 rows, and none at all of sensitive grades."""
    return [] if grade.sensitive else [dict(row) for row in sample[:SAMPLE_ROWS]]


def interface_manifest(declared: Declaration, number: int, published_at: datetime) -> dict[str, Any]:
    """接口清单. The version of a product that is a provider's own API: no files, what was declared instead."""
    return {
        "version": number,
        "rows": 0,
        "columns": [],
        "query_columns": [],
        "files": {},
        "interface": declared.model_dump(mode="json"),
        "published_at": published_at.isoformat(),
    }


def manifest(output: Output, number: int, published_at: datetime) -> dict[str, Any]:
    """版本清单. What the gateway's shelf serves a version by."""
    return {
        "version": number,
        "rows": output.rows,
        "columns": [column.model_dump() for column in output.columns],
        "query_columns": list(output.query_columns),
        "files": {name: file.model_dump() for name, file in sorted(output.files.items())},
        "published_at": published_at.isoformat(),
    }
