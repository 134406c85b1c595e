"""分级 What grade follows from who would be harmed how much (GB/T 43697-2024), by field and for the whole; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.terms import DeliveryMode
from market.policy.inputs import DataGrade, OpenAttr, PersonalInfo, SupplyKind
from storage.kernel.words import Worded, Words


class Harmed(Worded):
    """影响对象. Who or what a leak, change or loss of the data would harm."""

    NATION = "nation", "国家安全", "National security"
    ECONOMY = "economy", "经济运行", "The economy"
    ORDER = "order", "社会秩序", "Social order"
    PUBLIC = "public", "公共利益", "The public interest"
    ORGANIZATION = "organization", "组织权益", "Rights of organizations"
    PERSON = "person", "个人权益", "Rights of persons"


class Degree(Worded):
    """影响程度."""

    NONE = "none", "无", "None"
    GENERAL = "general", "一般", "General"
    SERIOUS = "serious", "严重", "Serious"
    GRAVE = "grave", "特别严重", "Very serious"


_PRIVATE = {Degree.NONE: DataGrade.G1, Degree.GENERAL: DataGrade.G2, Degree.SERIOUS: DataGrade.G3, Degree.GRAVE: DataGrade.G4}  # fmt: skip
_SHARED = {Degree.NONE: DataGrade.G1, Degree.GENERAL: DataGrade.G2, Degree.SERIOUS: DataGrade.IMPORTANT, Degree.GRAVE: DataGrade.CORE}  # fmt: skip
# 影响矩阵: whose harm, how much → at least this grade.
MATRIX: dict[Harmed, dict[Degree, DataGrade]] = {
    Harmed.NATION: {
        Degree.NONE: DataGrade.G1,
        Degree.GENERAL: DataGrade.IMPORTANT,
        Degree.SERIOUS: DataGrade.CORE,
        Degree.GRAVE: DataGrade.CORE,
    },
    Harmed.ECONOMY: _SHARED,
    Harmed.ORDER: _SHARED,
    Harmed.PUBLIC: _SHARED,
    Harmed.ORGANIZATION: _PRIVATE,
    Harmed.PERSON: _PRIVATE,
}
MANY_PERSONS = 10_000_000  # 网络数据安全管理条例 28: from here on, the duties of important data
_ORDER = list(DataGrade)
_ALL = frozenset(DeliveryMode)
DELIVERY: dict[DataGrade, frozenset[DeliveryMode]] = {
    DataGrade.G1: _ALL,
    DataGrade.G2: _ALL,
    DataGrade.G3: _ALL - {DeliveryMode.FILE},
    DataGrade.G4: frozenset({DeliveryMode.COMPUTE, DeliveryMode.VERIFY}),
    DataGrade.IMPORTANT: frozenset({DeliveryMode.COMPUTE}),
    DataGrade.CORE: frozenset(),
}


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """字段. What is known of one field; a harm that is not among `harms` is unknown, not absent."""

    name: str
    harms: Mapping[Harmed, Degree]
    pi: PersonalInfo | None = None


@dataclass(frozen=True, slots=True)
class WholeFacts:
    """数据集. What is known of the whole: openness, how many people it is about, whether sources were fused."""

    supply: SupplyKind | None = None
    open_attr: OpenAttr | None = None
    persons: int | None = None
    fused: bool | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """分级理由. What made the grade at least this; `presumed` because something is unknown."""

    field: str
    grade: DataGrade
    words: Words
    presumed: bool = False


@dataclass(frozen=True, slots=True)
class Graded:
    """分级结果. The grade of the whole and of each field, with every reason."""

    grade: DataGrade
    fields: Mapping[str, DataGrade]
    reasons: tuple[Reason, ...]


def higher(*grades: DataGrade) -> DataGrade:
    """就高从严. The highest of several grades.

    >>> higher(DataGrade.G2, DataGrade.IMPORTANT, DataGrade.G4)
    <DataGrade.IMPORTANT: 'IMPORTANT'>
    """
    return max(grades, key=_ORDER.index)


def grade(fields: Sequence[FieldFacts], whole: WholeFacts) -> Graded:
    """分级. The highest field decides, aggregation may raise it, and what is unknown counts as the worst."""
    by_field = {each.name: _of_field(each) for each in fields}
    grades = {name: higher(*(reason.grade for reason in reasons)) for name, reasons in by_field.items()}
    reasons = [reason for each in by_field.values() for reason in each]
    if not fields:
        words = Words("没有字段信息，按最高级推定。", "No field is described: the highest is presumed.")
        reasons.append(Reason("", DataGrade.CORE, words, presumed=True))
    highest = higher(DataGrade.G1, *(reason.grade for reason in reasons))
    reasons += _of_whole(fields, whole, highest)
    return Graded(higher(DataGrade.G1, *(reason.grade for reason in reasons)), grades, tuple(reasons))


def _of_field(said: FieldFacts) -> list[Reason]:
    reasons = []
    for harmed in Harmed:
        degree = said.harms.get(harmed)
        known = degree if degree is not None else Degree.GRAVE
        words = (
            Words(
                f"{harmed.words.zh}：影响{known.words.zh}",
                f"{harmed.words.en}: {known.words.en.lower()} harm",
            )
            if degree is not None
            else Words(
                f"{harmed.words.zh}影响未评估，从严推定",
                f"{harmed.words.en}: not assessed, the worst is presumed",
            )
        )
        reasons.append(Reason(said.name, MATRIX[harmed][known], words, presumed=degree is None))
    floor = {PersonalInfo.NONE: DataGrade.G1, PersonalInfo.SPI: DataGrade.G4, None: DataGrade.G4}
    least = floor.get(said.pi, DataGrade.G2)
    if least is not DataGrade.G1:
        kind = said.pi.words if said.pi else Words("个人信息未判断", "personal information not judged")
        words = Words(f"{kind.zh}，不低于 {least}", f"{kind.en}: {least} at least")
        reasons.append(Reason(said.name, least, words, presumed=said.pi is None))
    return reasons


def _of_whole(fields: Sequence[FieldFacts], whole: WholeFacts, highest: DataGrade) -> list[Reason]:
    reasons = []
    public = whole.supply is not SupplyKind.ENTERPRISE
    floors = {OpenAttr.CONDITIONAL: DataGrade.G2, OpenAttr.CLOSED: DataGrade.G4, None: DataGrade.G4}
    if public and whole.open_attr in floors:
        least = floors[whole.open_attr]
        said = whole.open_attr.words if whole.open_attr else Words("开放属性未定", "open attribute unknown")
        reasons.append(
            Reason(
                "",
                least,
                Words(f"{said.zh}，不低于 {least}", f"{said.en}: {least} at least"),
                whole.open_attr is None,
            )
        )
    personal = any(each.pi is not PersonalInfo.NONE for each in fields)
    if personal and (whole.persons is None or whole.persons >= MANY_PERSONS):
        words = Words(
            "涉及千万人以上个人信息，按重要数据管理", "ten million persons or more: managed as important data"
        )
        reasons.append(Reason("", DataGrade.IMPORTANT, words, whole.persons is None))
    if whole.fused is not False and highest in _ORDER[:3]:
        raised = _ORDER[_ORDER.index(highest) + 1]
        words = Words(f"汇聚融合后可能升高，按 {raised} 管理", f"fused data may rise: managed as {raised}")
        reasons.append(Reason("", raised, words, whole.fused is None))
    return reasons
