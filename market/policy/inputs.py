"""What the line between public-good and commercial is drawn from: supply, source, openness, grade, and the facts around them."""

from dataclasses import Field, dataclass, field, fields
from typing import Any

from contracts.terms import DeliveryMode, Purpose
from storage.kernel.words import Worded, Words


class SupplyKind(Worded):
    """供给类型. Whose duty or business produced the data."""

    PUBLIC = "public", "公共数据", "Public data"
    ENTERPRISE = "enterprise", "企业数据", "Enterprise data"
    MIXED = "mixed", "融合数据", "Mixed"


class OpenAttr(Worded):
    """开放属性. Whether society may have the data (Qingdao open-data rules)."""

    UNCONDITIONAL = "U", "无条件开放", "Open without conditions"
    CONDITIONAL = "K", "有条件开放", "Open with conditions"
    CLOSED = "N", "不予开放", "Not open"


class SourceKind(Worded):
    """数据来源. 数据安全法 33: the provider explains where the data comes from."""

    SELF_COLLECTED = "self_collected", "自行采集", "Collected by ourselves"
    PUBLIC_AUTHORIZED = "public_authorized", "公共数据授权", "Authorized public data"
    PURCHASED = "purchased", "购买", "Purchased"
    LICENSED = "licensed", "许可取得", "Licensed"
    CRAWLED = "crawled", "公开收集", "Collected from public sources"
    DERIVED = "derived", "加工衍生", "Derived"


class DataGrade(Worded):
    """数据分级. GB/T 43697-2024: general data in four levels, important data, core data."""

    G1 = "G1", "一般数据 1 级", "General data, level 1"
    G2 = "G2", "一般数据 2 级", "General data, level 2"
    G3 = "G3", "一般数据 3 级", "General data, level 3"
    G4 = "G4", "一般数据 4 级", "General data, level 4"
    IMPORTANT = "IMPORTANT", "重要数据", "Important data"
    CORE = "CORE", "核心数据", "Core data"

    @property
    def sensitive(self) -> bool:
        """Level 3 and above: four eyes, and no copy leaves the house."""
        return self not in {DataGrade.G1, DataGrade.G2}


class BuyerKind(Worded):
    """使用主体. The five kinds of credit subjects, and the citizen who takes open data."""

    GOVERNMENT = "government", "政务部门", "Government"
    INSTITUTION = "institution", "事业单位", "Public institution"
    ENTERPRISE = "enterprise", "企业", "Enterprise"
    ORGANIZATION = "organization", "社会组织", "Public organization"
    PERSON = "person", "自然人", "Natural person"
    CITIZEN = "citizen", "未登录公众", "Anonymous citizen"


class PersonalInfo(Worded):
    """个人信息. What of it the product still contains; de-identified is still personal, anonymous is not."""

    NONE = "none", "不含个人信息", "None"
    DEID = "deid", "已去标识化", "De-identified"
    PI = "pi", "含个人信息", "Personal information"
    SPI = "spi", "含敏感个人信息", "Sensitive personal information"


class ReidLevel(Worded):
    """重标识风险级别. GB/T 42460-2023, from direct identifiers to none at all."""

    DIRECT = "1", "1 级：含直接标识符", "Level 1: direct identifiers"
    RISKY = (
        "2",
        "2 级：准标识符，风险不低于阈值",
        "Level 2: quasi-identifiers, risk at or above the threshold",
    )
    SAFE = "3", "3 级：准标识符，风险低于阈值", "Level 3: quasi-identifiers, risk below the threshold"
    CLEAR = "4", "4 级：不含标识符", "Level 4: no identifiers"


class ProductForm(Worded):
    """加工程度. What was made of the resource: as it is, or by which substantive processing."""

    RAW_OPEN = "raw_open", "原始开放", "Raw, open"
    CLEANSED = "cleansed", "清洗", "Cleansed"
    ANALYSED = "analysed", "分析", "Analyzed"
    MODELLED = "modelled", "建模", "Modeled"
    VISUALISED = "visualised", "可视化", "Visualized"


class Secrecy(Worded):
    """保密审查状态. Whether another person than the submitter said that the data may leave its unit."""

    NOT_NEEDED = "not_needed", "无须审查", "Not needed"
    PENDING = "pending", "待审查", "Waiting for review"
    PASSED = "passed", "通过", "Passed"
    REFUSED = "refused", "不予通过", "Refused"


class CeilingState(Worded):
    """上限收费标准. Whether the authorizing body has fixed the most that may be charged."""

    NONE = "none", "未核定", "Not decided"
    EXPIRED = "expired", "已失效", "Expired"
    TRIAL = "trial", "试行", "On trial"
    IN_FORCE = "in_force", "有效", "In force"


class PermitState(Worded):
    """行业准入. A sector permit (credit, mapping, weather, medical), where one is needed."""

    NOT_NEEDED = "not_needed", "无须许可", "Not needed"
    HELD = "held", "已取得", "Held"
    MISSING = "missing", "未取得", "Missing"


class Evidence(Worded):
    """用途证明. What the buyer showed for a purpose that makes the data free."""

    MISSING = "missing", "未提交", "Missing"
    DOUBTFUL = "doubtful", "存疑", "Doubtful"
    PROVEN = "proven", "充分", "Sufficient"


class TwinState(Worded):
    """公益孪生. The free product on the same resource, beside which a commercial one is sold."""

    NONE = "none", "无", "None"
    KEPT = "kept", "在架且不低于上架时质量", "Listed, no worse than at launch"
    DEGRADED = "degraded", "在架但已降质或限速", "Listed but worse or throttled"
    WITHDRAWN = "withdrawn", "已撤下", "Taken down"


class Shape(Worded):
    """要素类型. How a term's values compare in a rule's condition."""

    CHOICE = "choice", "择一", "One of several"
    FLAG = "flag", "是否", "Yes or no"
    AMOUNT = "amount", "数额", "An amount"
    SET = "set", "多选", "Several at once"
    NAMES = "names", "名称", "Names"


@dataclass(frozen=True, slots=True)
class Term:
    """判定要素. A declared input: its name, shape, possible values, the strictest of them, its words."""

    name: str
    shape: Shape
    kind: type[Worded] | None
    strictest: Any
    words: Words

    def values(self) -> tuple[Any, ...]:
        """Every value a flip may try; amounts and sets have their own."""
        if self.shape is Shape.FLAG:
            return (True, False)
        return tuple(self.kind) if self.shape is Shape.CHOICE and self.kind else ()

    def read(self, plain: Any) -> Any:
        """A canonical (JSON) value as this term's. Raises ValueError for one it cannot have."""
        if plain is None:
            return None
        if self.shape is Shape.FLAG and isinstance(plain, bool):
            return plain
        if (
            self.shape is Shape.AMOUNT
            and isinstance(plain, int)
            and not isinstance(plain, bool)
            and plain >= 0
        ):
            return plain
        if self.shape is Shape.CHOICE and self.kind and isinstance(plain, str):
            return self.kind(plain)
        if isinstance(plain, list | tuple | set | frozenset) and all(isinstance(one, str) for one in plain):
            if self.shape is Shape.NAMES:
                return tuple(sorted(set(plain)))
            if self.shape is Shape.SET and self.kind:
                return frozenset(self.kind(one) for one in plain)
        raise ValueError(self.name)


def _term(shape: Shape, strictest: Any, zh: str, en: str, kind: type[Worded] | None = None) -> Any:
    said = {"shape": shape, "kind": kind, "strictest": strictest, "words": Words(zh, en)}
    return field(default=None, metadata=said)


def _choice(kind: type[Worded], strictest: Worded, zh: str, en: str) -> Any:
    return _term(Shape.CHOICE, strictest, zh, en, kind)


def _flag(strictest: bool, zh: str, en: str) -> Any:
    return _term(Shape.FLAG, strictest, zh, en)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """判定输入. Every fact a tier decision may look at; None is unknown, never favorable. Prices in fen."""

    supply: SupplyKind | None = _choice(SupplyKind, SupplyKind.MIXED, "供给类型", "Supply")
    purpose: Purpose | None = _choice(Purpose, Purpose.RESALE, "使用目的", "Purpose")
    buyer_kind: BuyerKind | None = _choice(BuyerKind, BuyerKind.ENTERPRISE, "使用主体", "Buyer")
    open_attr: OpenAttr | None = _choice(OpenAttr, OpenAttr.CLOSED, "开放属性", "Open attribute")
    product_kind: ProductForm | None = _choice(
        ProductForm, ProductForm.MODELLED, "加工程度", "What was made of it"
    )
    delivery: frozenset[DeliveryMode] | None = _term(
        Shape.SET, frozenset({DeliveryMode.FILE}), "交付方式", "Delivery", DeliveryMode
    )
    price_fen: int | None = _term(Shape.AMOUNT, 10**15, "拟收价格（分）", "Price asked (fen)")
    grade: DataGrade | None = _choice(DataGrade, DataGrade.CORE, "数据分级", "Grade")
    pi: PersonalInfo | None = _choice(PersonalInfo, PersonalInfo.SPI, "个人信息", "Personal information")
    reid_level: ReidLevel | None = _choice(
        ReidLevel, ReidLevel.DIRECT, "重标识风险", "Re-identification risk"
    )
    value_added: bool | None = _flag(False, "有实质性加工", "Substantive processing")
    registered: bool | None = _flag(False, "登记有效", "Registration in force")
    source_proven: bool | None = _flag(False, "来源已说明", "Source explained")
    rights_proven: bool | None = _flag(False, "权利已证明", "Rights proven")
    disputed: bool | None = _flag(True, "权属有争议", "Ownership disputed")
    secrecy: Secrecy | None = _choice(Secrecy, Secrecy.PENDING, "保密审查", "Secrecy review")
    negative_hits: tuple[str, ...] | None = _term(
        Shape.NAMES, ("unknown",), "负面清单命中", "Negative-list hits"
    )
    provider_verified: bool | None = _flag(False, "提供方已核验", "Provider verified")
    buyer_verified: bool | None = _flag(False, "使用方已核验", "Buyer verified")
    payee_department: bool | None = _flag(True, "收款方为政务部门", "Payee is a government department")
    mandate: bool | None = _flag(False, "授权运营有效并覆盖", "Covered by a mandate in force")
    ceiling: CeilingState | None = _choice(CeilingState, CeilingState.NONE, "上限收费标准", "Price ceiling")
    ceiling_fen: int | None = _term(Shape.AMOUNT, 0, "上限价格（分）", "Ceiling (fen)")
    risk_assessment: bool | None = _flag(False, "重要数据风险评估已备案", "Risk assessment filed")
    consent: bool | None = _flag(False, "同意或其他合法依据", "Consent or another legal basis")
    pia: bool | None = _flag(False, "个人信息保护影响评估", "Impact assessment")
    foreign: bool | None = _flag(True, "境外使用方", "Foreign recipient")
    export_gate: bool | None = _flag(False, "出境手续已完成", "Export gate passed")
    bonded: bool | None = _flag(False, "数据保税区内", "Inside the bonded zone")
    permit: PermitState | None = _choice(PermitState, PermitState.MISSING, "行业许可", "Sector permit")
    purpose_evidence: Evidence | None = _choice(Evidence, Evidence.MISSING, "用途证明", "Evidence of purpose")
    emergency_declared: bool | None = _flag(
        False, "应急已由主管部门宣布", "Emergency declared by an authority"
    )
    named_purpose: bool | None = _flag(False, "开放清单已列明该用途", "The open list names this purpose")
    free_twin: TwinState | None = _choice(TwinState, TwinState.DEGRADED, "公益孪生产品", "Free twin")
    open_terms: bool | None = _flag(False, "开放许可且无捆绑条款", "Open license without lock-in")
    eligible: bool | None = _flag(False, "符合公布的扶持条件", "Eligible under the published discount table")
    off_purpose: bool | None = _flag(True, "超出许可目的使用", "Used for another purpose than granted")

    def canonical(self) -> dict[str, Any]:
        """规范形式. The same facts as plain JSON in a fixed order, for keeping, hashing and replay."""
        return {name: _plain(getattr(self, name)) for name in sorted(TERMS)}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Inputs":
        """The inputs a canonical form says. Raises ValueError naming the first term that is unknown or wrong."""
        if strange := sorted(plain.keys() - TERMS.keys()):
            raise ValueError(strange[0])
        return cls(**{name: _read(TERMS[name], value) for name, value in plain.items()})

    def unknown(self) -> tuple[str, ...]:
        """未知要素. The terms nobody knows."""
        return tuple(name for name in TERMS if getattr(self, name) is None)


def _read(term: Term, value: Any) -> Any:
    try:
        return term.read(value)
    except ValueError:
        raise ValueError(term.name) from None


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset | tuple):
        return sorted(str(one) for one in value)
    return str(value) if isinstance(value, Worded) else value


def _declared(each: Field[Any]) -> Term:
    said = each.metadata
    return Term(each.name, said["shape"], said["kind"], said["strictest"], said["words"])


# The vocabulary of rule packs: a condition may name these terms and no others.
TERMS: dict[str, Term] = {each.name: _declared(each) for each in fields(Inputs)}
