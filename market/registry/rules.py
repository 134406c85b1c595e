"""What a data asset must say about itself, how it is registered, and under which number; pure."""

import re
from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from contracts.terms import RightKind
from market.policy.inputs import DataGrade, OpenAttr, SupplyKind
from market.policy.inputs import SourceKind as SourceKind
from storage.kernel.machine import Machine
from storage.kernel.numbers import has_valid_check, valid_uscc
from storage.kernel.problem import Fault
from storage.kernel.words import Worded, Words


class AssetState(Worded):
    """登记状态."""

    DRAFT = "draft", "草稿", "Draft"
    SUBMITTED = "submitted", "已提交", "Submitted"
    ACCEPTED = "accepted", "已受理", "Accepted for review"
    RETURNED = "returned", "待补正", "Returned for correction"
    UNDER_REVIEW = "under_review", "审核中", "Under review"
    PUBLICITY = "publicity", "公示中", "On public notice"
    OBJECTED = "objected", "异议处理中", "Objected to"
    REGISTERED = "registered", "已登记", "Registered"
    REJECTED = "rejected", "不予登记", "Rejected"
    WITHDRAWN = "withdrawn", "已撤回", "Withdrawn"
    EXPIRED = "expired", "已过期", "Expired"
    CANCELLED = "cancelled", "已注销", "Cancelled"
    REVOKED = "revoked", "已撤销", "Revoked"


_OPEN = (
    AssetState.DRAFT,
    AssetState.RETURNED,
    AssetState.SUBMITTED,
    AssetState.ACCEPTED,
    AssetState.UNDER_REVIEW,
    AssetState.PUBLICITY,
    AssetState.OBJECTED,
)
ASSET = Machine(
    "asset",
    AssetState.DRAFT,
    {
        (AssetState.DRAFT, "edit"): AssetState.DRAFT,
        (AssetState.RETURNED, "edit"): AssetState.RETURNED,
        (AssetState.DRAFT, "submit"): AssetState.SUBMITTED,
        (AssetState.RETURNED, "submit"): AssetState.SUBMITTED,
        (AssetState.SUBMITTED, "accept"): AssetState.ACCEPTED,
        (AssetState.SUBMITTED, "return"): AssetState.RETURNED,
        (AssetState.ACCEPTED, "review"): AssetState.UNDER_REVIEW,
        (AssetState.ACCEPTED, "reject"): AssetState.REJECTED,
        (AssetState.UNDER_REVIEW, "reject"): AssetState.REJECTED,
        (AssetState.UNDER_REVIEW, "publish"): AssetState.PUBLICITY,
        # Only where the office gives no days of notice; the verb says so.
        (AssetState.UNDER_REVIEW, "register"): AssetState.REGISTERED,
        (AssetState.PUBLICITY, "object"): AssetState.OBJECTED,
        (AssetState.PUBLICITY, "register"): AssetState.REGISTERED,
        (AssetState.OBJECTED, "object"): AssetState.OBJECTED,
        (AssetState.OBJECTED, "dismiss"): AssetState.PUBLICITY,
        (AssetState.OBJECTED, "sustain"): AssetState.REJECTED,
        **{(state, "withdraw"): AssetState.WITHDRAWN for state in _OPEN},
        # What is registered changes by applications of its own (life.AMENDMENT) and stays registered.
        (AssetState.REGISTERED, "change"): AssetState.REGISTERED,
        (AssetState.REGISTERED, "renew"): AssetState.REGISTERED,
        (AssetState.REGISTERED, "transfer"): AssetState.REGISTERED,
        (AssetState.REGISTERED, "expire"): AssetState.EXPIRED,
        (AssetState.EXPIRED, "renew"): AssetState.REGISTERED,  # asked for in time, decided late
        (AssetState.REGISTERED, "cancel"): AssetState.CANCELLED,
        (AssetState.REGISTERED, "revoke"): AssetState.REVOKED,
    },
)
ENDED = (AssetState.EXPIRED, AssetState.CANCELLED, AssetState.REVOKED)
# What the registrar's desk sees; a draft, or one taken back, is its author's alone.
ON_THE_DESK = tuple(state for state in AssetState if state not in {AssetState.DRAFT, AssetState.WITHDRAWN})
# What anybody may look up: registered once, with whatever became of it.
ON_THE_REGISTER = (AssetState.REGISTERED, *ENDED)


class FormatKind(Worded):
    """信息资源格式. The seven classes of the government catalogue."""

    DOCUMENT = "1", "电子文件", "Electronic document"
    SHEET = "2", "电子表格", "Spreadsheet"
    DATABASE = "3", "数据库", "Database"
    IMAGE = "4", "图形图像", "Graphics and images"
    STREAM = "5", "流媒体", "Streaming media"
    SELF_DESCRIBING = "6", "自描述格式", "Self-describing format"
    SERVICE = "7", "服务接口", "Service interface"


class ShareType(Worded):
    """共享类型. Between departments."""

    UNCONDITIONAL = "1", "无条件共享", "Shared without conditions"
    CONDITIONAL = "2", "有条件共享", "Shared with conditions"
    NOT_SHARED = "3", "不予共享", "Not shared"


class UpdateCycle(Worded):
    """更新周期."""

    REALTIME = "realtime", "实时", "Real time"
    DAILY = "daily", "每日", "Daily"
    WEEKLY = "weekly", "每周", "Weekly"
    MONTHLY = "monthly", "每月", "Monthly"
    QUARTERLY = "quarterly", "每季度", "Quarterly"
    YEARLY = "yearly", "每年", "Yearly"
    IRREGULAR = "irregular", "不定期", "Irregular"


class ObtainType(Worded):
    """取得方式. How a right came to its holder."""

    ORIGINAL = "original", "原始取得", "Original"
    SUCCEEDED = "succeeded", "继受取得", "By succession"
    AUTHORIZED = "authorized", "授权取得", "By authorization"


Short = Annotated[str, Field(max_length=200)]
Long = Annotated[str, Field(max_length=4000)]


class Right(BaseModel, frozen=True):
    """数据产权. One of the three rights the registrant claims, with its scope and limits."""

    kind: RightKind
    scope: Annotated[str, Field(min_length=2, max_length=1000)]
    limits: Annotated[str, Field(max_length=1000)] = ""
    obtained: ObtainType = ObtainType.ORIGINAL
    valid_until: date | None = None


class Item(BaseModel, frozen=True):
    """信息项. One field of the resource."""

    name: Short
    type: Annotated[str, Field(max_length=40)] = ""
    length: int | None = None
    note: Annotated[str, Field(max_length=1000)] = ""


class Description(BaseModel):
    """目录信息. What the registrant writes about the asset (government catalogue and GB/T 36343).

    Every field may stay empty in a draft; `completeness_faults` says what submission needs.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True, extra="forbid")

    title_zh: Short = ""
    title_en: Short = ""
    abstract_zh: Long = ""
    abstract_en: Long = ""
    provider_name: Short = ""  # 提供方: the supplying unit, not always the registrant
    provider_code: Annotated[str, Field(max_length=18)] = ""  # its USCC
    code: Annotated[str, Field(max_length=64)] = ""  # the provider's own resource code
    category: Short = ""  # 类/项/目/细目
    format_kind: FormatKind | None = None
    format: Annotated[str, Field(max_length=40)] = ""  # "csv", "xlsx", "mysql 8"
    share_type: ShareType | None = None
    share_condition: Long = ""
    open_attr: OpenAttr | None = None
    open_condition: Long = ""
    update_cycle: UpdateCycle | None = None
    published_on: date | None = None
    related_codes: Annotated[tuple[Short, ...], Field(max_length=20)] = ()
    keywords: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=40)], ...], Field(max_length=20)
    ] = ()
    area: Annotated[str, Field(max_length=6)] = ""  # GB/T 2260
    coverage_from: date | None = None
    coverage_until: date | None = None  # None: still growing
    industry: Annotated[str, Field(max_length=10)] = ""  # GB/T 4754, "G54"
    system: Short = ""  # 所属系统
    scale: Annotated[int, Field(ge=0, le=10**15)] | None = None
    scale_unit: Annotated[str, Field(max_length=20)] = ""
    items: Annotated[tuple[Item, ...], Field(max_length=2000)] = ()
    source_kind: SourceKind | None = None
    source_statement: Long = ""
    rights: Annotated[tuple[Right, ...], Field(max_length=3)] = ()
    grade: DataGrade | None = None
    grade_basis: Long = ""
    supply: SupplyKind | None = None
    contains_pi: bool | None = None
    contains_spi: bool | None = None
    pi_basis: Long = ""  # consent or legal basis, and the impact assessment's number
    committed: bool = False  # 登记承诺书

    def columns(self, *, only_set: bool = False) -> dict[str, Any]:
        """The values as columns keep them: scalars as they are, lists as plain JSON."""
        plain = self.model_dump(mode="json", include=set(_LISTS), exclude_unset=only_set)
        names = self.model_fields_set if only_set else set(type(self).model_fields)
        return {name: plain[name] if name in _LISTS else getattr(self, name) for name in sorted(names)}


_LISTS = frozenset({"related_codes", "keywords", "items", "rights"})
# 目录必填项, in the order of the form.
MANDATORY: dict[str, Words] = {
    "title_zh": Words("信息资源名称（中文）", "title in Chinese"),
    "title_en": Words("信息资源名称（英文）", "title in English"),
    "code": Words("信息资源代码", "resource code"),
    "category": Words("信息资源分类", "category"),
    "provider_name": Words("提供方", "supplying unit"),
    "provider_code": Words("提供方代码", "supplying unit's code"),
    "abstract_zh": Words("摘要", "abstract"),
    "keywords": Words("关键词", "keywords"),
    "format_kind": Words("信息资源格式", "format class"),
    "format": Words("具体格式", "format"),
    "items": Words("信息项", "data items"),
    "share_type": Words("共享类型", "share type"),
    "open_attr": Words("开放属性", "open attribute"),
    "update_cycle": Words("更新周期", "update cycle"),
    "published_on": Words("发布日期", "publication date"),
    "area": Words("空间范围", "area covered"),
    "coverage_from": Words("时间范围起点", "start of the time range"),
    "industry": Words("行业分类", "industry"),
    "system": Words("所属系统", "source system"),
    "source_kind": Words("数据来源", "source"),
    "source_statement": Words("来源合法性说明", "statement of lawful source"),
    "rights": Words("权利内容", "rights claimed"),
    "grade": Words("分级建议", "proposed grade"),
    "grade_basis": Words("分级依据", "basis of the grade"),
    "supply": Words("供给类型", "kind of supply"),
    "contains_pi": Words("是否含个人信息", "whether it contains personal information"),
    "contains_spi": Words("是否含敏感个人信息", "whether it contains sensitive personal information"),
}


def completeness_faults(said: Description, *, files: int, evidence: int) -> list[Fault]:
    """完整性. Everything missing or wrong before submission, all at once.

    files, evidence: how many data files and source documents are attached.
    """
    faults = [
        Fault(name, "required", Words(f"请填写{words.zh}。", f"Fill in: {words.en}."))
        for name, words in MANDATORY.items()
        if getattr(said, name) in (None, "", ()) or not str(getattr(said, name)).strip()
    ]
    if not files:
        faults.append(
            Fault("files", "required", Words("请上传至少一个数据文件。", "Upload at least one data file."))
        )
    if not evidence:
        faults.append(
            Fault(
                "source_evidence",
                "required",
                Words(
                    "请上传来源佐证材料（数据安全法第 33 条）。",
                    "Upload evidence of the source (DSL, Art. 33).",
                ),
            )
        )
    if not said.committed:
        faults.append(
            Fault(
                "committed",
                "commitment",
                Words("请阅读并确认登记承诺书。", "Read and confirm the registration commitment."),
            )
        )
    return faults + _dependent_faults(said) + _form_faults(said)


# 共享为原则、不共享为例外: whoever does not share names the law and its article, wherever it is entered.
LAW = re.compile(r"《[^》]+》.*第?\s*[0-9一二三四五六七八九十百零〇]+\s*条", re.DOTALL)
NEEDS_LAW = Words(
    "不予共享须写明法律法规依据及条款，例如《……法》第……条。",
    "Not sharing needs the law and its article, such as 《……法》第……条.",
)


def _dependent_faults(said: Description) -> list[Fault]:
    """What is needed because of another answer."""
    faults = []
    if said.share_type is ShareType.CONDITIONAL and not said.share_condition.strip():
        words = Words("请写明共享条件。", "State the condition for sharing.")
        faults.append(Fault("share_condition", "share.condition", words))
    if said.share_type is ShareType.NOT_SHARED and not LAW.search(said.share_condition):
        faults.append(Fault("share_condition", "share.law", NEEDS_LAW))
    if said.open_attr is OpenAttr.CONDITIONAL and not said.open_condition.strip():
        words = Words("有条件开放须说明开放条件。", "State the condition for opening.")
        faults.append(Fault("open_condition", "open.condition", words))
    closed = said.open_attr is OpenAttr.CLOSED and said.supply is not SupplyKind.ENTERPRISE
    if closed and not said.open_condition.strip():
        words = Words("不予开放须写明依据和理由。", "State on what basis it is not opened.")
        faults.append(Fault("open_condition", "open.reason", words))
    if said.contains_spi and said.contains_pi is False:
        words = Words(
            "含敏感个人信息即含个人信息。", "Sensitive personal information is personal information."
        )
        faults.append(Fault("contains_pi", "pi.consistent", words))
    if (said.contains_pi or said.contains_spi) and not said.pi_basis.strip():
        words = Words(
            "含个人信息须填写同意或其他合法依据及影响评估编号。",
            "State the consent or other legal basis and the number of the impact assessment.",
        )
        faults.append(Fault("pi_basis", "pi.basis", words))
    return faults + grade_faults(said)


def grade_faults(said: Description) -> list[Fault]:
    """分级底线. Core data never enters; personal information has its lowest grades (GB/T 43697)."""
    if said.grade is DataGrade.CORE:
        words = Words(
            "核心数据不得登记入场（数据安全法第 21 条）。",
            "Core data is never registered here (DSL, Art. 21).",
        )
        return [Fault("grade", "T01", words)]
    order = list(DataGrade)
    floor = DataGrade.G4 if said.contains_spi else DataGrade.G2 if said.contains_pi else DataGrade.G1
    if said.grade is not None and order.index(said.grade) < order.index(floor):
        words = Words(
            f"含此类个人信息的数据不得低于 {floor} 级。",
            f"Data with such personal information is graded {floor} or higher.",
        )
        return [Fault("grade", "grade.floor", words)]
    return []


def _form_faults(said: Description) -> list[Fault]:
    """What is filled in but cannot be right."""
    faults = []
    if said.provider_code and not valid_uscc(said.provider_code):
        words = Words(
            "提供方代码应为 18 位统一社会信用代码且校验码正确。",
            "The supplying unit's code is an 18-character USCC with a right check character.",
        )
        faults.append(Fault("provider_code", "party.uscc_check", words))
    if said.area and not re.fullmatch(r"[1-9]\d{5}", said.area, re.ASCII):
        words = Words(
            "空间范围为 6 位行政区划代码，例如 370200。", "The area is a 6-digit code, e.g. 370200."
        )
        faults.append(Fault("area", "area.code", words))
    if said.industry and not re.fullmatch(r"[A-T](\d{2,4})?", said.industry, re.ASCII):
        words = Words("行业分类为国民经济行业代码，例如 G54。", "The industry is a GB/T 4754 code, e.g. G54.")
        faults.append(Fault("industry", "industry.code", words))
    if said.coverage_from and said.coverage_until and said.coverage_until < said.coverage_from:
        words = Words("时间范围终点早于起点。", "The time range ends before it starts.")
        faults.append(Fault("coverage_until", "coverage.order", words))
    kinds = [right.kind for right in said.rights]
    if len(set(kinds)) < len(kinds):
        words = Words("同一项权利只能填写一次。", "Each right is claimed once.")
        faults.append(Fault("rights", "rights.once", words))
    return faults


ZONE = ZoneInfo("Asia/Shanghai")  # the registrar's civil calendar names the year
VALID_YEARS = 3


def number_stem(area: str) -> str:
    """登记编号 without year, running number and check: `SG-370200-R`."""
    return f"SG-{area}-R"


def number_faults(number: str) -> list[Fault]:
    """What is wrong with a registration number, so that a typo is told before any look-up."""
    stem, _renewal = base_number(number)
    shape = re.fullmatch(r"SG-\d{6}-[RPO]-\d{4}-\d{6,}-[0-9A-Z]", stem, re.ASCII)
    if shape and has_valid_check(stem):
        return []
    words = Words(
        "登记编号格式或校验码不正确，请核对。", "The number's form or its check character is wrong."
    )
    return [Fault("number", "number.check", words)]


def base_number(number: str) -> tuple[str, int | None]:
    """A registration number without its renewal, and which renewal it names; None when it names none.

    >>> base_number("SG-370200-R-2026-000001-K-R2"), base_number("SG-370200-R-2026-000001-K")
    (('SG-370200-R-2026-000001-K', 2), ('SG-370200-R-2026-000001-K', None))
    """
    found = re.fullmatch(r"(.+)-R([1-9]\d{0,2})", number, re.ASCII)
    return (found[1], int(found[2])) if found else (number, None)


def renewed_number(number: str, renewals: int) -> str:
    """续展编号. The number is kept for ever; the n-th renewal is told by `-Rn` after it."""
    return f"{number}-R{renewals}" if renewals else number


def valid_until(begins_at: datetime) -> datetime:
    """有效期. Three civil years from registration or renewal (half-open; 29 February ends on 1 March)."""
    local = begins_at.astimezone(ZONE)
    try:
        return local.replace(year=local.year + VALID_YEARS)
    except ValueError:
        return local.replace(year=local.year + VALID_YEARS, month=3, day=1)
