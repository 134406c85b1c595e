"""目录条目的解读 One row of a resource directory as it comes in a CSV or JSON file, read and judged; pure."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from market.policy.inputs import OpenAttr
from market.registry.rules import LAW, NEEDS_LAW, FormatKind, ShareType, UpdateCycle
from storage.kernel.numbers import valid_uscc
from storage.kernel.words import Worded, Words

# The column names people use, Chinese by the government's catalogue guide, English by ours.
COLUMNS: dict[str, tuple[str, ...]] = {
    "provider_code": ("提供方代码", "信息资源提供方代码", "统一社会信用代码", "provider_code"),
    "provider_name": ("提供方", "信息资源提供方", "部门", "单位名称", "provider_name", "department"),
    "code": ("信息资源代码", "资源代码", "目录代码", "code"),
    "title_zh": ("信息资源名称", "资源名称", "目录名称", "名称", "title_zh", "title", "name"),
    "title_en": ("英文名称", "title_en"),
    "abstract": ("摘要", "信息资源摘要", "资源摘要", "abstract"),
    "system": ("所属系统", "信息系统", "业务系统", "system"),
    "category": ("分类", "信息资源分类", "category"),
    "format_kind": ("信息资源格式", "格式分类", "format_kind"),
    "format": ("格式", "具体格式", "format"),
    "share_type": ("共享类型", "share_type"),
    "share_condition": ("共享条件", "共享条件或依据", "不予共享依据", "share_condition"),
    "open_attr": ("开放属性", "是否向社会开放", "开放类型", "open_attr"),
    "open_condition": ("开放条件", "不予开放理由", "开放条件或理由", "open_condition"),
    "update_cycle": ("更新周期", "update_cycle"),
    "items": ("信息项", "信息项名称", "items"),
    "scale": ("数据规模", "数据量", "scale"),
    "scale_unit": ("规模单位", "scale_unit"),
    "published_on": ("发布日期", "published_on"),
}
_KNOWN = {alias.casefold(): name for name, aliases in COLUMNS.items() for alias in aliases}
_OPENNESS = {
    "是": OpenAttr.UNCONDITIONAL,
    "否": OpenAttr.CLOSED,
    "yes": OpenAttr.UNCONDITIONAL,
    "no": OpenAttr.CLOSED,
}


def _choice(kind: type[Worded], more: Mapping[str, Worded] | None = None) -> Any:
    """Accept a value, or its Chinese or English words, as people write them in a spreadsheet."""
    known = {
        word.casefold(): member
        for member in kind
        for word in (member.value, member.words.zh, member.words.en)
    }
    known |= more or {}

    def read(given: object) -> object:
        if isinstance(given, str):
            return known.get(given.strip().casefold(), given.strip() or None)
        return str(given) if isinstance(given, int) and not isinstance(given, bool) else given

    return BeforeValidator(read)


def _names(given: object) -> object:
    if isinstance(given, str):
        return [part.strip() for part in re.split(r"[;；,，、\n|]", given) if part.strip()]
    if isinstance(given, list):
        return [item.get("name") if isinstance(item, Mapping) else item for item in given]
    return given or []


def _nothing(given: object) -> object:
    return None if isinstance(given, str) and not given.strip() else given


def _text(given: object) -> object:
    if isinstance(given, str) and "\0" in given:
        raise ValueError("a NUL character")
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    return given.strip() if isinstance(given, str) else ("" if given is None else given)


def _day(given: object) -> object:
    if isinstance(given, str) and (
        found := re.fullmatch(r"\s*(\d{4})[/.年-](\d{1,2})[/.月-](\d{1,2})日?\s*", given)
    ):
        return f"{found[1]}-{int(found[2]):02d}-{int(found[3]):02d}"
    return _nothing(given)


Text = Annotated[str, Field(max_length=200), BeforeValidator(_text)]
Long = Annotated[str, Field(max_length=4000), BeforeValidator(_text)]
Name = Annotated[str, Field(min_length=1, max_length=200), BeforeValidator(_text)]


class Row(BaseModel):
    """目录条目. One resource as its department describes it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider_code: Annotated[str, Field(min_length=18, max_length=18), BeforeValidator(_text)]
    provider_name: Annotated[str, Field(min_length=2, max_length=200), BeforeValidator(_text)]
    code: Annotated[str, Field(min_length=1, max_length=64), BeforeValidator(_text)]
    title_zh: Annotated[str, Field(min_length=1, max_length=200), BeforeValidator(_text)]
    title_en: Text = ""
    abstract: Long = ""
    system: Text = ""
    category: Text = ""
    format_kind: Annotated[FormatKind | None, _choice(FormatKind)] = None
    format: Annotated[str, Field(max_length=40), BeforeValidator(_text)] = ""
    share_type: Annotated[ShareType, _choice(ShareType)]
    share_condition: Long = ""
    open_attr: Annotated[OpenAttr, _choice(OpenAttr, _OPENNESS)]
    open_condition: Long = ""
    update_cycle: Annotated[UpdateCycle | None, _choice(UpdateCycle)] = None
    items: Annotated[list[Name], Field(max_length=2000), BeforeValidator(_names)] = []
    scale: Annotated[Annotated[int, Field(ge=0, le=10**15)] | None, BeforeValidator(_nothing)] = None
    scale_unit: Annotated[str, Field(max_length=20), BeforeValidator(_text)] = ""
    published_on: Annotated[date | None, BeforeValidator(_day)] = None

    def digest(self) -> str:
        """SHA-256 (hex) of everything said: the same again is unchanged."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def field_names(header: Sequence[str]) -> dict[str, str]:
    """Which column of a file is which field: the file's name → ours; unknown columns are left out."""
    found: dict[str, str] = {}
    for label in header:
        name = _KNOWN.get(re.sub(r"[\s*＊（(].*$", "", label.strip().lstrip("*＊")).casefold())
        if name and name not in found.values():
            found[label] = name
    return found


def read_row(fields: Mapping[str, Any]) -> tuple[Row | None, list[dict[str, Any]]]:
    """The row, or everything wrong with it: [{"field", "rule", "message": {"zh", "en"}}]."""
    try:
        row = Row.model_validate(fields)
    except ValidationError as error:
        return None, [_fault(fault) for fault in error.errors(include_url=False)]
    faults = _row_faults(row)
    return (None if faults else row), faults


def _row_faults(row: Row) -> list[dict[str, Any]]:
    faults = []
    if not valid_uscc(row.provider_code):
        faults.append(
            _told(
                "provider_code",
                "party.uscc_check",
                "提供方代码校验码不正确。",
                "The USCC's check character is wrong.",
            )
        )
    if row.share_type is ShareType.CONDITIONAL and not row.share_condition:
        faults.append(
            _told(
                "share_condition", "share.condition", "请写明共享条件。", "State the condition for sharing."
            )
        )
    if row.share_type is ShareType.NOT_SHARED and not LAW.search(row.share_condition):
        faults.append(_told("share_condition", "share.law", NEEDS_LAW.zh, NEEDS_LAW.en))
    if row.open_attr is not OpenAttr.UNCONDITIONAL and not row.open_condition:
        faults.append(
            _told(
                "open_condition",
                "open.reason",
                "请写明开放条件或不予开放的理由。",
                "State the condition, or why it is not opened.",
            )
        )
    return faults


_MESSAGES = {
    "missing": Words("缺少必填项。", "Required."),
    "string_too_short": Words("缺少必填项或过短。", "Required, or too short."),
    "string_too_long": Words("过长。", "Too long."),
    "enum": Words("不是允许的取值。", "Not one of the values that are allowed."),
}


def _fault(error: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(error["type"])
    words = _MESSAGES.get(kind) or Words("内容不符合要求。", str(error["msg"])[:200])
    field = str(error["loc"][0]) if error["loc"] else "row"
    label = COLUMNS[field][0] if field in COLUMNS else field
    return _told(field, kind, f"{label}：{words.zh}", f"{field}: {words.en}")


def _told(field: str, rule: str, zh: str, en: str) -> dict[str, Any]:
    return {"field": field, "rule": rule, "message": {"zh": zh, "en": en}}
