"""A recipe from the boxes of a form: the common steps column by column, or its JSON as written."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from market.refinery.grammar import Recipe
from market.refinery.rules import parse
from market.web.forms import Form
from market.web.values import words_of
from storage.kernel.problem import Fault, Invalid, invalid
from storage.kernel.words import Words
from storage.tabular.kinds import NUMBERS, Column, Kind

MASKS: dict[str, tuple[Words, dict[str, Any]]] = {
    "redact": (Words("全部抹除（***）", "Redact (***)"), {"method": "redact"}),
    "hash": (Words("加密哈希（假名化）", "Keyed hash"), {"method": "hash"}),
    "first1": (Words("只留首字", "Keep the first character"), {"method": "keep", "first": 1}),
    "first3last4": (
        Words("留前 3 后 4（手机号）", "Keep 3 first, 4 last"),
        {"method": "keep", "first": 3, "last": 4},
    ),
    "first6": (Words("留前 6 位（证件号）", "Keep 6 first"), {"method": "keep", "first": 6}),
    "last4": (Words("留后 4 位", "Keep 4 last"), {"method": "keep", "last": 4}),
    "bucket10": (Words("按 10 分段", "Ranges of 10"), {"method": "bucket", "width": 10}),
    "bucket100": (Words("按 100 分段", "Ranges of 100"), {"method": "bucket", "width": 100}),
    "bucket1000": (Words("按 1000 分段", "Ranges of 1000"), {"method": "bucket", "width": 1000}),
}


def masks_for(kind: Kind) -> list[tuple[str, Words]]:
    """The ways of masking that suit a column of this kind."""
    return [
        (name, words) for name, (words, by) in MASKS.items() if by["method"] != "bucket" or kind in NUMBERS
    ]


def said(step: dict[str, Any]) -> Words:
    """What a step of a stored recipe does, in words where the boxes can say it, else in its JSON form."""
    rest = {key: value for key, value in step.items() if key != "step" and value not in (None, [], "")}
    names = "、".join(rest["columns"]) if isinstance(rest.get("columns"), list) else ""
    match step["step"]:
        case "mask":
            by = {key: value for key, value in rest["by"].items() if value or key == "method"}
            words = next((words for words, known in MASKS.values() if known == by), None)
            if words:
                return Words(f"{rest['column']}：{words.zh}", f"{rest['column']}: {words.en}")
        case "filter" if rest["where"]["op"] == "and" and all(
            part["op"] == "not_null" for part in rest["where"]["of"]
        ):
            filled = "、".join(part["column"] for part in rest["where"]["of"])
            return Words(f"{filled} 不得为空", f"{filled} required")
        case "rename":
            pairs = "、".join(f"{old} → {new}" for old, new in rest["names"].items())
            return Words(pairs, pairs)
        case "dedupe" if not names:
            return Words("整行", "whole rows")
    if names and set(rest) == {"columns"}:
        return Words(names, names)
    plain = json.dumps(rest, ensure_ascii=False)
    return Words(plain, plain)


def recipe_of(form: Form, columns: Sequence[Column]) -> Recipe:
    """The recipe the form asks for. Raises Invalid at the field `recipe`."""
    if written := form["recipe"]:
        try:
            document = json.loads(written)
        except (ValueError, RecursionError):
            raise invalid("recipe", "json_invalid", "JSON 格式错误。", "Not valid JSON.") from None
        return parsed(document)
    return parsed({"nulls": ["", *words_of(form["nulls"])], "steps": _steps(form, columns)})


def parsed(document: Any) -> Recipe:
    """A recipe from its JSON form. Raises Invalid at the field `recipe`."""
    try:
        return parse(document)
    except Invalid as wrong:
        raise Invalid(*in_recipe(wrong.faults)) from wrong


def in_recipe(faults: Sequence[Fault]) -> list[Fault]:
    """Faults of a recipe at the one field people see, their place said in words."""
    return [replace(fault, field="recipe", words=_placed(fault)) for fault in faults]


def _placed(fault: Fault) -> Words:
    parts = fault.field.split(".")
    if parts[0] == "steps" and len(parts) > 1 and parts[1].isdigit():
        number = int(parts[1]) + 1
        return Words(f"第 {number} 步：{fault.words.zh}", f"Step {number}: {fault.words.en}")
    return Words(f"{fault.field}：{fault.words.zh}", f"{fault.field}: {fault.words.en}")


def _steps(form: Form, columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Trim, drop rows, dedupe, mask, drop columns, rename: in this order."""
    names = [column.name for column in columns]
    steps: list[dict[str, Any]] = []
    texts = [column.name for column in columns if column.kind is Kind.TEXT]
    if form["trim"] and texts:
        steps.append({"step": "trim", "columns": texts})
    if filled := _ticked(form, "filled", names):
        parts = [{"op": "not_null", "column": name} for name in filled]
        steps.append({"step": "filter", "where": {"op": "and", "of": parts}})
    if form["dedupe"]:
        steps.append({"step": "dedupe"})
    dropped = _ticked(form, "drop", names)
    for index, name in enumerate(names):
        mask = MASKS.get(form[f"mask_{index}"])
        if mask and name not in dropped:
            steps.append({"step": "mask", "column": name, "by": mask[1]})
    if dropped:
        steps.append({"step": "drop", "columns": dropped})
    renamed = {
        name: form[f"rename_{index}"]
        for index, name in enumerate(names)
        if form[f"rename_{index}"] not in {"", name} and name not in dropped
    }
    if renamed:
        steps.append({"step": "rename", "names": renamed})
    return steps


def indexes_of(form: Form, columns: Sequence[Column]) -> list[str]:
    """The columns the rows API finds by, under the names they have after the recipe of the boxes."""
    if form["recipe"]:
        return words_of(form["indexes"])
    names = [column.name for column in columns]
    dropped = set(_ticked(form, "drop", names))
    return [
        form[f"rename_{names.index(name)}"] or name
        for name in _ticked(form, "index", names)
        if name not in dropped
    ]


def _ticked(form: Form, field: str, names: Sequence[str]) -> list[str]:
    chosen = set(form.all(field))
    return [name for index, name in enumerate(names) if str(index) in chosen]
