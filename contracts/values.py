"""The base of every frozen value of a deal: exact numbers, no unknown fields, faults in both languages."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError
from pydantic_core import ErrorDetails

from storage.kernel.problem import Fault, Invalid
from storage.kernel.words import Words

LARGEST = 2**53 - 1  # the largest whole number canonical JSON (RFC 8785) keeps exact

Count = Annotated[StrictInt, Field(ge=0, le=LARGEST)]
Limit = Annotated[StrictInt, Field(gt=0, le=LARGEST)] | None  # None is unlimited
Line = Annotated[str, Field(min_length=1, max_length=200)]
Passage = Annotated[str, Field(min_length=1, max_length=4000)]

_WORDS = {
    "missing": Words("必填。", "Required."),
    "extra_forbidden": Words("没有这个字段。", "There is no such field."),
    "int_type": Words("必须是整数（金额以分为单位）。", "Must be a whole number (amounts are in fen)."),
    "greater_than_equal": Words("不能小于 {ge}。", "Must be at least {ge}."),
    "greater_than": Words("必须大于 {gt}。", "Must be greater than {gt}."),
    "less_than_equal": Words("不能大于 {le}。", "Must be at most {le}."),
    "string_too_short": Words("不能为空。", "Must not be empty."),
    "string_too_long": Words("最多 {max_length} 个字。", "At most {max_length} characters."),
    "too_short": Words("至少选择 {min_length} 项。", "Choose at least {min_length}."),
    "enum": Words("可选值：{expected}。", "Choose one of {expected}."),
}
_OTHERWISE = Words("格式不正确。", "Has the wrong form.")


class Value(BaseModel):
    """A frozen value. Building one from bad input raises Invalid naming every wrong field."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as wrong:
            raise Invalid(*map(_fault, wrong.errors())) from None

    # Values inside values are checked by the outermost one, so that faults carry the whole dotted path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def document(self) -> dict[str, Any]:
        """Plain JSON values: the form that is hashed, signed and stored."""
        return self.model_dump(mode="json")


def _fault(error: ErrorDetails) -> Fault:
    field = ".".join(str(part) for part in error["loc"]) or "."
    words = _WORDS.get(error["type"], _OTHERWISE)
    return Fault(field, error["type"], words.fill(**error.get("ctx", {})))
