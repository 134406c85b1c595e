"""What an entry of a list must say, how an edit moves, and how two versions differ; pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.terms import DeliveryMode, Purpose
from market.policy.inputs import DataGrade, OpenAttr, PersonalInfo, SourceKind, SupplyKind
from storage.kernel.machine import Machine
from storage.kernel.problem import Fault
from storage.kernel.words import Worded, Words

ZONE = ZoneInfo("Asia/Shanghai")  # the civil calendar entries are dated by


class ListKind(Worded):
    """清单. What society may have, and what may never be traded."""

    OPEN = "open", "开放清单", "Open list"
    NEGATIVE = "negative", "负面清单", "Negative list"


class Bar(Worded):
    """禁止程度. How early a negative rule stops what it catches."""

    TRADE = "trade", "不得挂牌交易", "Never listed or traded"
    REGISTRATION = "registration", "不得登记", "Not even registered"


class ChangeKind(Worded):
    """修订方式."""

    ADD = "add", "新增", "Added"
    REVISE = "revise", "修改", "Revised"
    END = "end", "移出", "Removed"


class EditState(Worded):
    """修订状态. Two people of two roles stand behind every published edit."""

    SUBMITTED = "submitted", "待审批", "Waiting for the second person"
    PUBLISHED = "published", "已发布", "Published"
    REJECTED = "rejected", "未通过", "Rejected"
    WITHDRAWN = "withdrawn", "已撤回", "Withdrawn"


LIST_EDIT = Machine(
    "list_edit",
    EditState.SUBMITTED,
    {
        (EditState.SUBMITTED, "publish"): EditState.PUBLISHED,
        (EditState.SUBMITTED, "reject"): EditState.REJECTED,
        (EditState.SUBMITTED, "withdraw"): EditState.WITHDRAWN,
    },
)
PREFIX = {ListKind.OPEN: "KF", ListKind.NEGATIVE: "FM"}  # 开放, 负面
CODE = re.compile(r"(KF|FM)-\d{4,}", re.ASCII)
MAX_CHANGES = 200
MAX_ENTRIES = 5000

Line = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=2000)]
Word = Annotated[str, Field(min_length=2, max_length=40)]
Several = Annotated[tuple[Word, ...], Field(max_length=50)]


class Condition(BaseModel):
    """匹配条件. Every test that is filled in must hold; one of its values is enough.

    words: in title, summary or keywords. categories, industries: what they begin with. fields: in the name
    of a data item. codes: asset number, resource code or product slug, exactly. without_basis: personal
    information with no legal basis on file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: Several = ()
    categories: Several = ()
    industries: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-T][0-9]{0,4}$")], ...], Field(max_length=20)
    ] = ()
    fields: Several = ()
    codes: Annotated[tuple[Line, ...], Field(max_length=200)] = ()
    grades: Annotated[tuple[DataGrade, ...], Field(max_length=6)] = ()
    sources: Annotated[tuple[SourceKind, ...], Field(max_length=6)] = ()
    supplies: Annotated[tuple[SupplyKind, ...], Field(max_length=3)] = ()
    open_attrs: Annotated[tuple[OpenAttr, ...], Field(max_length=3)] = ()
    personal: Annotated[tuple[PersonalInfo, ...], Field(max_length=4)] = ()
    delivery: Annotated[tuple[DeliveryMode, ...], Field(max_length=5)] = ()
    without_basis: bool = False

    @property
    def empty(self) -> bool:
        """Whether it would catch everything, because nothing is asked."""
        return not any(getattr(self, name) for name in type(self).model_fields)


TESTS: dict[str, Words] = {
    "words": Words("标题、简介或关键词含", "the title, summary or keywords contain"),
    "categories": Words("分类属于", "the category begins with"),
    "industries": Words("行业属于", "the industry begins with"),
    "fields": Words("信息项名称含", "a data item's name contains"),
    "codes": Words("编号为", "the number is"),
    "grades": Words("数据分级为", "the grade is"),
    "sources": Words("数据来源为", "the source is"),
    "supplies": Words("供给类型为", "the supply is"),
    "open_attrs": Words("开放属性为", "the open attribute is"),
    "personal": Words("个人信息情况为", "personal information:"),
    "delivery": Words("交付方式为", "the delivery is"),
    "without_basis": Words("个人信息处理无合法依据", "personal information has no legal basis on file"),
}


class Entry(BaseModel):
    """清单条目. What both lists say of everything on them: why, under which article, from when, reviewed when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title_zh: Line = ""
    title_en: Line = ""
    reason_zh: Text = ""
    reason_en: Text = ""
    law: Line = ""  # "数据安全法"
    article: Line = ""  # "第 21 条"
    effective_from: date | None = None
    effective_until: date | None = None  # the first day it no longer holds
    review_on: date | None = None
    # 负面清单
    bar: Bar = Bar.TRADE
    condition: Condition | None = None
    # 开放清单
    unit_name: Line = ""  # 供数单位
    resource: Line = ""  # resource code or asset number
    open_attr: OpenAttr | None = None
    terms: Text = ""  # 开放条件
    purposes: Annotated[tuple[Purpose, ...], Field(max_length=9)] = ()  # free for these, where conditional

    def plain(self) -> dict[str, Any]:
        """The entry as plain JSON, always with the same keys."""
        return self.model_dump(mode="json")

    def holds_on(self, day: date) -> bool:
        """Whether the entry is in force on a day of the civil calendar."""
        return (
            self.effective_from is not None
            and self.effective_from <= day
            and (self.effective_until is None or day < self.effective_until)
        )


class Change(BaseModel):
    """一处修订. One entry added, revised or removed. revision: the one the editor read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ChangeKind
    code: Annotated[str, Field(max_length=12)] = ""
    revision: Annotated[int, Field(ge=1)] | None = None
    entry: Entry | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.kind is not ChangeKind.END and self.entry is None:
            raise ValueError("an entry is needed / 请填写条目内容")
        if self.kind is not ChangeKind.ADD and not (CODE.fullmatch(self.code) and self.revision):
            raise ValueError("code and revision are needed / 请写明条目编号及所依据的修订号")
        return self


def entry_faults(kind: ListKind, entry: Entry, today: date, at: str = "") -> list[Fault]:
    """条目规则. Everything wrong with one entry; `at` is put before the field names."""
    wanted = {
        "title_zh": Words("中文名称", "title in Chinese"),
        "title_en": Words("英文名称", "title in English"),
        "reason_zh": Words("中文理由", "reason in Chinese"),
        "reason_en": Words("英文理由", "reason in English"),
    }
    faults = [
        Fault(f"{at}{name}", "required", Words(f"请填写{words.zh}。", f"Fill in: {words.en}."))
        for name, words in wanted.items()
        if not getattr(entry, name).strip()
    ]
    for name, words in {"law": Words("法律名称", "the law"), "article": Words("条款", "the article")}.items():
        if not getattr(entry, name).strip():
            said = Words(
                f"每一条目都须写明法律依据：请填写{words.zh}。",
                f"Every entry stands on a law: fill in {words.en}.",
            )
            faults.append(Fault(f"{at}{name}", "legal_basis", said))
    faults += _date_faults(entry, today, at)
    return faults + list(
        _negative_faults(entry, at) if kind is ListKind.NEGATIVE else _open_faults(entry, at)
    )


def _date_faults(entry: Entry, today: date, at: str) -> list[Fault]:
    faults = []
    if entry.effective_from is None:
        faults.append(Fault(f"{at}effective_from", "required", Words("请填写生效日期。", "From when?")))
    elif entry.effective_until is not None and entry.effective_until <= entry.effective_from:
        words = Words("失效日期须晚于生效日期。", "It ends after it begins.")
        faults.append(Fault(f"{at}effective_until", "dates.order", words))
    if entry.review_on is None:
        words = Words("请填写复审日期。", "When is it reviewed?")
        faults.append(Fault(f"{at}review_on", "required", words))
    elif entry.review_on <= today:
        words = Words("复审日期须晚于今天。", "The review lies in the future.")
        faults.append(Fault(f"{at}review_on", "dates.review", words))
    return faults


def _negative_faults(entry: Entry, at: str) -> Iterator[Fault]:
    if entry.condition is None or entry.condition.empty:
        words = Words(
            "请至少填写一个匹配条件，否则将命中一切数据。", "Fill in one test at least, or it catches all."
        )
        yield Fault(f"{at}condition", "condition.empty", words)
    if entry.resource or entry.open_attr or entry.terms or entry.purposes:
        words = Words("负面清单条目不写开放内容。", "A negative entry opens nothing.")
        yield Fault(f"{at}resource", "entry.kind", words)


def _open_faults(entry: Entry, at: str) -> Iterator[Fault]:
    if not entry.resource.strip():
        words = Words("请填写资源代码或登记编号。", "Name the resource by its code or number.")
        yield Fault(f"{at}resource", "required", words)
    if not entry.unit_name.strip():
        yield Fault(f"{at}unit_name", "required", Words("请填写供数单位。", "Name the supplying unit."))
    if entry.open_attr not in {OpenAttr.UNCONDITIONAL, OpenAttr.CONDITIONAL}:
        words = Words("开放清单只列无条件或有条件开放的数据。", "The open list holds open data only.")
        yield Fault(f"{at}open_attr", "open.attr", words)
    if entry.open_attr is OpenAttr.CONDITIONAL and not entry.terms.strip():
        yield Fault(f"{at}terms", "open.terms", Words("请写明开放条件。", "State the conditions."))
    if entry.condition is not None:
        words = Words("开放清单条目没有匹配条件。", "An open entry has no condition.")
        yield Fault(f"{at}condition", "entry.kind", words)


@dataclass(frozen=True, slots=True)
class Difference:
    """清单差异. One entry between two versions; `fields` are those that changed."""

    kind: ChangeKind
    code: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    fields: tuple[str, ...] = ()


def differences(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> list[Difference]:
    """版本比较. Code → entry on both sides; what was added, revised and removed, by code."""
    found = []
    for code in sorted(before.keys() | after.keys()):
        old, new = before.get(code), after.get(code)
        if old == new:
            continue
        if old is None:
            found.append(Difference(ChangeKind.ADD, code, None, new))
        elif new is None:
            found.append(Difference(ChangeKind.END, code, old, None))
        else:
            changed = tuple(sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k)))
            found.append(Difference(ChangeKind.REVISE, code, old, new, changed))
    return found
