"""What is true of recipes and runs: a recipe walked over a schema, the run's machine, its quality."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from pydantic import ValidationError

from market.refinery import grammar as g
from storage.kernel.machine import Machine
from storage.kernel.problem import Fault, Invalid
from storage.kernel.words import Worded, Words
from storage.tabular.kinds import MOMENTS, NUMBERS, Column, Kind, Profile


class RunState(Worded):
    """清洗运行状态."""

    QUEUED = "queued", "排队中", "Queued"
    RUNNING = "running", "运行中", "Running"
    SUCCEEDED = "succeeded", "已完成", "Succeeded"
    FAILED = "failed", "已失败", "Failed"


RUN = Machine(
    "run",
    RunState.QUEUED,
    {
        (RunState.QUEUED, "start"): RunState.RUNNING,
        (RunState.QUEUED, "fail"): RunState.FAILED,
        (RunState.RUNNING, "finish"): RunState.SUCCEEDED,
        (RunState.RUNNING, "fail"): RunState.FAILED,
        (RunState.RUNNING, "requeue"): RunState.QUEUED,
        (RunState.FAILED, "retry"): RunState.QUEUED,
    },
)

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,18})?")
_CASTS: Mapping[Kind, frozenset[Kind]] = {
    Kind.TEXT: frozenset(Kind),
    Kind.INTEGER: NUMBERS | {Kind.TEXT},
    Kind.DECIMAL: NUMBERS | {Kind.TEXT},
    Kind.DOUBLE: NUMBERS | {Kind.TEXT},
    Kind.BOOLEAN: frozenset({Kind.BOOLEAN, Kind.INTEGER, Kind.TEXT}),
    Kind.DATE: frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TEXT}),
    Kind.TIMESTAMP: MOMENTS | {Kind.TEXT},
    Kind.INSTANT: MOMENTS | {Kind.TEXT},
}


def parse(document: Any) -> g.Recipe:
    """A recipe from its JSON form. Raises Invalid with every fault of form."""
    try:
        return g.RECIPE.validate_python(document)
    except ValidationError as error:
        raise Invalid(
            *(
                Fault(
                    ".".join(str(part) for part in fault["loc"]) or "recipe",
                    f"recipe.{fault['type']}",
                    Words(
                        f"配方此处不合语法：{fault['msg']}", f"The recipe is malformed here: {fault['msg']}"
                    ),
                )
                for fault in error.errors()
            )
        ) from error


def check(recipe: g.Recipe, columns: Sequence[Column]) -> tuple[Column, ...]:
    """检查配方. The columns that come out when the recipe meets these columns.

    Raises Invalid with all faults, each at `steps.<n>.<field>`: missing column, type that does not
    suit, name used twice, nothing left.
    """
    return trace(recipe, columns)[-1]


def check_early(recipe: g.Recipe, columns: Sequence[Column], indexes: Sequence[str] = ()) -> None:
    """预检. What can be said of a recipe before its file is read again; raises Invalid as `check` does.

    columns: as the upload was profiled. Other `nulls` give other types, so only names are judged then.
    """
    try:
        check_indexes(indexes, check(recipe, columns))
    except Invalid as wrong:
        sure = [
            fault for fault in wrong.faults if fault.rule != "recipe.type_mismatch" or recipe.nulls == ("",)
        ]
        if sure:
            raise Invalid(*sure) from None


def check_indexes(indexes: Sequence[str], columns: Sequence[Column]) -> None:
    """查询字段. Each must be among the columns a recipe leaves; raises Invalid naming every one that is not."""
    names = {column.name for column in columns}
    faults = [
        Fault(f"indexes.{i}", "missing_column", Words(f"没有列“{name}”。", f"There is no column “{name}”."))
        for i, name in enumerate(indexes)
        if name not in names
    ]
    if faults:
        raise Invalid(*faults)


def trace(recipe: g.Recipe, columns: Sequence[Column]) -> list[tuple[Column, ...]]:
    """The columns before the first step and after every step. Raises Invalid as `check` does."""
    faults: list[Fault] = []
    schemas = [tuple(columns)]
    for number, step in enumerate(recipe.steps):
        walk = _Walk(f"steps.{number}", {column.name: column for column in schemas[-1]}, faults)
        walk.take(step)
        schemas.append(tuple(walk.columns.values()))
        if not walk.columns:
            walk.fault("columns", "no_columns", "这一步之后没有列了。", "No column is left after this step.")
            break
    if faults:
        raise Invalid(*faults)
    return schemas


@dataclass
class _Walk:
    """One step meeting the columns before it."""

    at: str
    columns: dict[str, Column]
    faults: list[Fault] = field(default_factory=list)

    def fault(self, where: str, rule: str, zh: str, en: str) -> None:
        self.faults.append(Fault(f"{self.at}.{where}", f"recipe.{rule}", Words(zh, en)))

    def find(self, name: str, where: str) -> Column | None:
        column = self.columns.get(name)
        if column is None:
            self.fault(where, "missing_column", f"没有名为“{name}”的列。", f"There is no column “{name}”.")
        return column

    def wrong_type(self, where: str, column: Column, wanted: str) -> None:
        zh = f"列“{column.name}”是{column.kind.words.zh}，不适用于此操作（{wanted}）。"
        en = f"Column “{column.name}” is {column.kind.words.en.lower()}, which does not suit: {wanted}."
        self.fault(where, "type_mismatch", zh, en)

    def take(self, step: g.Step) -> None:
        steps: dict[type, Callable[[Any], None]] = {
            g.Select: self.select,
            g.Drop: self.drop,
            g.Rename: self.rename,
            g.Cast: self.cast,
            g.Trim: self.trim,
            g.Fill: self.fill,
            g.Filter: lambda step: self.condition(step.where, "where"),
            g.Dedupe: self.dedupe,
            g.Mask: self.mask,
            g.Derive: self.derive,
        }
        steps[type(step)](step)

    def select(self, step: g.Select) -> None:
        chosen: dict[str, Column] = {}
        for name in step.columns:
            if name in chosen:
                self.fault("columns", "duplicate_name", f"列“{name}”出现两次。", f"“{name}” is named twice.")
            if column := self.find(name, "columns"):
                chosen[name] = column
        self.columns = chosen

    def dedupe(self, step: g.Dedupe) -> None:
        for name in step.columns:
            self.find(name, "columns")

    def drop(self, step: g.Drop) -> None:
        for name in step.columns:
            self.find(name, "columns")
        self.columns = {name: column for name, column in self.columns.items() if name not in step.columns}

    def rename(self, step: g.Rename) -> None:
        for old in step.names:
            self.find(old, "names")
        renamed: dict[str, Column] = {}
        taken: set[str] = set()
        for name, column in self.columns.items():
            new = step.names.get(name, name)
            self.new_name(new, taken, "names")
            renamed[new] = replace(column, name=new)
        self.columns = renamed

    def new_name(self, name: str, taken: set[str], where: str) -> None:
        key = name.casefold()
        if key in taken:
            self.fault(where, "duplicate_name", f"列名“{name}”重复。", f"The name “{name}” is used twice.")
        if key == "_row" or not name.strip() or not all(char.isprintable() for char in name):
            self.fault(where, "bad_name", "列名不可用。", "This column name cannot be used.")
        taken.add(key)

    def cast(self, step: g.Cast) -> None:
        column = self.find(step.column, "column")
        if column is None:
            return
        if step.to not in _CASTS[column.kind]:
            self.wrong_type("to", column, f"→ {step.to.words.en}")
        if step.format is not None and (step.to not in MOMENTS or column.kind is not Kind.TEXT):
            self.fault(
                "format", "format", "format 只用于把文本转为日期或时间。", "format is for text to dates."
            )
        decimal = step.to is Kind.DECIMAL
        self.columns[step.column] = Column(
            step.column, step.to, 38 if decimal else None, step.scale if decimal else None
        )

    def trim(self, step: g.Trim) -> None:
        for name in step.columns:
            column = self.find(name, "columns")
            if column and column.kind is not Kind.TEXT:
                self.wrong_type("columns", column, "trim")

    def fill(self, step: g.Fill) -> None:
        if column := self.find(step.column, "column"):
            self.suits(column, step.value, "value")
            if column.kind is Kind.DECIMAL and len(str(step.value).partition(".")[2]) > (column.scale or 0):
                self.fault("value", "scale", "小数位数多于该列。", "More decimals than the column has.")

    def mask(self, step: g.Mask) -> None:
        column = self.find(step.column, "column")
        if column is None:
            return
        if isinstance(step.by, g.Bucket):
            if column.kind not in NUMBERS:
                self.wrong_type("by", column, "bucket")
            self.columns[step.column] = Column(step.column, Kind.INTEGER)
        else:
            self.columns[step.column] = Column(step.column, Kind.TEXT)

    def derive(self, step: g.Derive) -> None:
        self.new_name(step.name, {name.casefold() for name in self.columns}, "name")
        made = self.value(step.value, "value")
        self.columns[step.name] = replace(made or Column("", Kind.TEXT), name=step.name)

    def condition(self, where: g.Condition, at: str) -> None:
        if isinstance(where, g.Group):
            for i, part in enumerate(where.of):
                self.condition(part, f"{at}.of.{i}")
            return
        if isinstance(where, g.Negation):
            self.condition(where.of, f"{at}.of")
            return
        column = self.find(where.column, f"{at}.column")
        if isinstance(where, g.Compare):
            self.comparison(where, column, at)
        elif column and isinstance(where, g.Prefix) and column.kind is not Kind.TEXT:
            self.wrong_type(f"{at}.column", column, "prefix")
        elif column:
            for value in _literals(where):
                self.suits(column, value, at)

    def comparison(self, where: g.Compare, column: Column | None, at: str) -> None:
        if (where.value is None) == (where.other is None):
            self.fault(at, "one_side", "value 与 other 须恰有一个。", "Give exactly one of value and other.")
            return
        if where.other is not None:
            other = self.find(where.other, f"{at}.other")
            if (
                column
                and other
                and column.kind is not other.kind
                and not {column.kind, other.kind} <= NUMBERS
            ):
                self.wrong_type(f"{at}.other", other, column.kind.words.en)
        elif column and where.value is not None:
            self.suits(column, where.value, f"{at}.value")

    def suits(self, column: Column, value: g.Atom, where: str) -> None:
        if not suits(column.kind, value):
            self.wrong_type(where, column, repr(value))

    def value(self, value: g.Value, at: str) -> Column | None:  # one return for each shape
        """The column a value would make, without a name; None when it has a fault."""
        match value:
            case g.ColumnValue():
                return self.find(value.name, f"{at}.name")
            case g.Constant():
                return Column("", constant_kind(value.value))
            case g.Concat():
                for i, part in enumerate(value.of):
                    self.value(part, f"{at}.of.{i}")
                return Column("", Kind.TEXT)
            case g.Arithmetic():
                return self.arithmetic(value, at)
            case g.DatePart():
                of = self.value(value.of, f"{at}.of")
                clock = value.part in {"hour", "minute"}
                if of and (of.kind not in MOMENTS or (clock and of.kind is Kind.DATE)):
                    self.wrong_type(f"{at}.of", of, value.part)
                return Column("", Kind.INTEGER)
            case g.Substring():
                of = self.value(value.of, f"{at}.of")
                if of and of.kind is not Kind.TEXT:
                    self.wrong_type(f"{at}.of", of, "substring")
                return Column("", Kind.TEXT)
            case _:
                self.value(value.of, f"{at}.of")
                return Column("", Kind.TEXT)

    def arithmetic(self, value: g.Arithmetic, at: str) -> Column | None:
        left, right = self.value(value.left, f"{at}.left"), self.value(value.right, f"{at}.right")
        if left is None or right is None:
            return None
        for side, column in (("left", left), ("right", right)):
            if column.kind not in NUMBERS:
                self.wrong_type(f"{at}.{side}", column, value.op)
        kinds = {left.kind, right.kind}
        if Kind.DOUBLE in kinds:
            return Column("", Kind.DOUBLE)
        if Kind.DECIMAL not in kinds:
            return Column("", Kind.INTEGER)
        scales = (left.scale or 0, right.scale or 0)
        scale = sum(scales) if value.op == "mul" else max(scales)
        if scale > 18:
            self.fault(at, "scale", "小数位数超过 18 位。", "More than 18 decimals.")
        return Column("", Kind.DECIMAL, 38, min(scale, 18))


def _literals(where: g.Among | g.Between | g.Prefix | g.Presence) -> Iterator[g.Atom]:
    if isinstance(where, g.Among):
        yield from where.values
    if isinstance(where, g.Between):
        yield from (where.least, where.greatest)


def constant_kind(value: g.Atom) -> Kind:
    """The kind of a literal standing alone: decimals and dates are made by a cast, not guessed."""
    if isinstance(value, bool):
        return Kind.BOOLEAN
    return Kind.INTEGER if isinstance(value, int) else Kind.TEXT


def suits(kind: Kind, value: g.Atom) -> bool:
    """Whether a literal is a value of `kind`: exact, and small enough for it."""
    if isinstance(value, bool) or kind is Kind.BOOLEAN:
        return kind is Kind.BOOLEAN and isinstance(value, bool)
    if kind is Kind.TEXT:
        return isinstance(value, str) and "\0" not in value
    if kind in NUMBERS:
        form = _INTEGER if kind is Kind.INTEGER else _DECIMAL
        return bool(form.fullmatch(str(value)))
    try:
        if kind is Kind.DATE:
            return str(date.fromisoformat(str(value))) == value
        return (datetime.fromisoformat(str(value)).tzinfo is not None) == (kind is Kind.INSTANT)
    except ValueError:
        return False


def completeness_bp(profile: Profile) -> int:
    """完整性. Filled cells of all cells, in basis points (GB/T 36344-2018, 完整性); 10000 when empty."""
    cells = profile.rows * len(profile.columns)
    missing = sum(column.nulls for column in profile.columns)
    return (cells - missing) * 10_000 // cells if cells else 10_000
