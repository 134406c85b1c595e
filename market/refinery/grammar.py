"""The closed grammar of recipes: ordered steps over named columns; never a line of SQL from people."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, TypeAdapter

from storage.kernel.canonical import digest
from storage.tabular.kinds import Kind

Name = Annotated[str, Field(min_length=1, max_length=120)]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=500)]
# Decimals and dates are written as text: "12.50", "2026-01-31". JSON fractions are refused.
Scalar = StrictBool | StrictInt | Annotated[StrictStr, Field(max_length=4000)]


Atom = bool | int | str


class Part(BaseModel):
    """A piece of a recipe: frozen, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Compare(Part):
    """A column against a value or another column. A missing value compares as false."""

    op: Literal["eq", "ne", "lt", "le", "gt", "ge"]
    column: Name
    value: Scalar | None = None
    other: Name | None = None


class Among(Part):
    op: Literal["in"]
    column: Name
    values: tuple[Scalar, ...] = Field(min_length=1, max_length=1000)


class Between(Part):
    """Both ends belong to the range."""

    op: Literal["between"]
    column: Name
    least: Scalar
    greatest: Scalar


class Prefix(Part):
    op: Literal["prefix"]
    column: Name
    value: StrictStr = Field(min_length=1, max_length=400)


class Presence(Part):
    op: Literal["is_null", "not_null"]
    column: Name


class Group(Part):
    op: Literal["and", "or"]
    of: tuple["Condition", ...] = Field(min_length=1, max_length=100)


class Negation(Part):
    op: Literal["not"]
    of: "Condition"


Condition = Annotated[
    Compare | Among | Between | Prefix | Presence | Group | Negation, Field(discriminator="op")
]


class ColumnValue(Part):
    op: Literal["column"]
    name: Name


class Constant(Part):
    op: Literal["literal"]
    value: Scalar


class Concat(Part):
    """Parts joined as text; a missing part makes the whole missing."""

    op: Literal["concat"]
    of: tuple["Value", ...] = Field(min_length=1, max_length=20)


class Arithmetic(Part):
    op: Literal["add", "sub", "mul"]
    left: "Value"
    right: "Value"


class DatePart(Part):
    op: Literal["date_part"]
    part: Literal["year", "month", "day", "hour", "minute", "weekday"]
    of: "Value"


class Substring(Part):
    """`length` characters from `start` (the first is 1)."""

    op: Literal["substring"]
    of: "Value"
    start: int = Field(ge=1, le=10_000)
    length: int = Field(ge=1, le=10_000)


class Hashed(Part):
    """A keyed hash (HMAC-SHA256) of the value's text."""

    op: Literal["hash"]
    of: "Value"


Value = Annotated[
    ColumnValue | Constant | Concat | Arithmetic | DatePart | Substring | Hashed, Field(discriminator="op")
]


class Select(Part):
    """保留列. Keep these columns, in this order."""

    step: Literal["select"]
    columns: Names


class Drop(Part):
    """删除列."""

    step: Literal["drop"]
    columns: Names


class Rename(Part):
    """改名. Old name to new name."""

    step: Literal["rename"]
    names: dict[Name, Name] = Field(min_length=1)


class Cast(Part):
    """转换类型. What would change the value is an error: 5.6 is no integer, "abc" no date.

    `format` reads dates and times (strptime, e.g. `%Y/%m/%d`); `scale` is for decimals.
    """

    step: Literal["cast"]
    column: Name
    to: Kind
    scale: int = Field(default=2, ge=0, le=18)
    format: str | None = Field(default=None, max_length=60)
    on_error: Literal["fail", "null", "drop"] = "fail"


class Trim(Part):
    """去空白. White space at both ends, the full-width space too; an empty text becomes missing."""

    step: Literal["trim"]
    columns: Names


class Fill(Part):
    """补缺."""

    step: Literal["fill"]
    column: Name
    value: Scalar


class Filter(Part):
    """筛选. Keep the rows where the condition holds."""

    step: Literal["filter"]
    where: Condition


class Dedupe(Part):
    """去重. Keep the first row of those equal in these columns (in all, when none is named)."""

    step: Literal["dedupe"]
    columns: tuple[Name, ...] = ()


class Keep(Part):
    """遮盖. Keep the first and last characters; a text not longer than both is hidden whole."""

    method: Literal["keep"]
    first: int = Field(default=0, ge=0, le=50)
    last: int = Field(default=0, ge=0, le=50)


class Hash(Part):
    """假名化. HMAC-SHA256 under the platform's salt, which is never stored with the data."""

    method: Literal["hash"]


class Redact(Part):
    """抹除. Every value becomes ***."""

    method: Literal["redact"]


class Bucket(Part):
    """分段. A number becomes the lower end of its range of `width`."""

    method: Literal["bucket"]
    width: int = Field(ge=1, le=10**12)


class Mask(Part):
    """脱敏."""

    step: Literal["mask"]
    column: Name
    by: Annotated[Keep | Hash | Redact | Bucket, Field(discriminator="method")]


class Derive(Part):
    """派生列. A new column at the end."""

    step: Literal["derive"]
    name: Name
    value: Value


Step = Annotated[
    Select | Drop | Rename | Cast | Trim | Fill | Filter | Dedupe | Mask | Derive, Field(discriminator="step")
]


class Recipe(Part):
    """清洗配方. What is done to a file, step by step. `nulls` are texts that mean "no value"."""

    version: Literal[1] = 1
    nulls: tuple[Annotated[str, Field(max_length=40)], ...] = ("",)
    steps: tuple[Step, ...] = Field(default=(), max_length=100)

    def document(self) -> dict[str, Any]:
        """The JSON form; the same recipe always gives the same one."""
        return self.model_dump(mode="json")

    def hash(self) -> str:
        """SHA-256 (hex) of the canonical JSON form."""
        return digest(self.document())


RECIPE: TypeAdapter[Recipe] = TypeAdapter(Recipe)
