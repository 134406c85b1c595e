"""The blanks of a contract as fields of a form, each by its type."""

from typing import Any

from contracts.slots import Slot
from market.web.forms import Form
from market.web.values import fen, whole
from storage.kernel.problem import invalid

_SIGNS = "｜|\t"


def slot_field(slot: Slot, value: Any) -> str | list[str]:
    """What the form shows of a value: text, the ticked boxes, or a table with one row on each line."""
    if value is None:
        return [] if slot.type == "choices" else ""
    if slot.type == "choices":
        return [str(each) for each in value]
    if slot.type == "money":
        return f"{value // 100}.{value % 100:02d}"
    if slot.type == "flag":
        return "yes" if value else "no"
    if slot.type == "table":
        names = [column.name for column in slot.columns]
        return "\n".join(" | ".join(str(row.get(name) or "") for name in names) for row in value)
    return str(value["zh"]) if isinstance(value, dict) else str(value)


def slot_value(slot: Slot, form: Form) -> Any:
    """What was written in the field `slots.{name}`; None when the default stands. Raises Invalid."""
    field = f"slots.{slot.name}"
    text = form[field]
    if slot.type == "choices":
        return form.all(field) or None
    if not text:
        return None
    if isinstance(slot.default, dict) and text == slot.default["zh"]:
        return None  # unchanged: both languages of the model text stay
    if slot.type == "int":
        return whole(form, field)
    if slot.type == "money":
        return fen(form, field)
    if slot.type == "flag":
        return text == "yes"
    if slot.type == "table":
        return _rows(slot, text, field)
    return text


def _rows(slot: Slot, text: str, field: str) -> list[dict[str, str]]:
    rows = []
    for line in text.splitlines():
        if not line.strip():
            continue
        for sign in _SIGNS:
            line = line.replace(sign, "|")  # noqa: PLW2901  # one mark between cells
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != len(slot.columns):
            zh = f"{slot.zh}：每行须有 {len(slot.columns)} 项，用“|”分隔。"
            en = f"{slot.en}: {len(slot.columns)} parts on each line, parted by “|”."
            raise invalid(field, "table.parts", zh, en)
        rows.append(dict(zip((column.name for column in slot.columns), cells, strict=True)))
    return rows
