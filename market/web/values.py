"""What people write in a form, read into values; whatever is wrong is named by its field."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from market.http.problems import as_problem
from market.web.forms import Form
from storage.kernel import money
from storage.kernel.problem import Fault, Invalid, invalid
from storage.kernel.words import Worded

M = TypeVar("M", bound=BaseModel)
W = TypeVar("W", bound=Worded)


def build(model: type[M], values: dict[str, Any]) -> M:
    """`model` from plain values. Raises Invalid with faults at the fields of the form."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = as_problem(RequestValidationError(error.errors()))
        assert isinstance(problem, Invalid)
        raise Invalid(*at_fields(problem.faults, 1)) from error


def at_fields(faults: Iterable[Fault], parts: int) -> list[Fault]:
    """The faults at the first `parts` of their dotted names: a form has one field for a whole list."""
    return [replace(fault, field=".".join(fault.field.split(".")[:parts])) for fault in faults]


def picked(kind: type[W], text: str) -> W | None:
    """The member with this value, or None: for filters of an address, which never fail."""
    return next((member for member in kind if member.value == text), None)


def page_number(text: str) -> int:
    """A page from 1; anything else is the first.

    >>> page_number("3"), page_number("x"), page_number("-1"), page_number("9" * 30)
    (3, 1, 1, 10000)
    """
    return min(int(text), 10_000) if text.isascii() and text.isdigit() and int(text[:9]) else 1


def words_of(text: str) -> list[str]:
    """The words of a list people part by commas of either kind or new lines.

    >>> words_of("停车，客流, 交通、 ")
    ['停车', '客流', '交通']
    """
    for mark in "，、;；\n":
        text = text.replace(mark, ",")
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def whole(form: Form, name: str) -> int | None:
    """A whole number, None when nothing is written. Raises Invalid."""
    text = form[name].replace(",", "").replace("，", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise invalid(name, "int_parsing", "请填写非负整数。", "Write a whole number, not negative.")
    return int(text)


def day(form: Form, name: str) -> date | None:
    """A civil day, None when nothing is written. Raises Invalid."""
    if not form[name]:
        return None
    try:
        return date.fromisoformat(form[name])
    except ValueError:
        raise invalid(name, "date", "日期格式为 2026-01-31。", "Write a day such as 2026-01-31.") from None


def fen(form: Form, name: str) -> int:
    """An amount typed in yuan, as fen; 0 when nothing is written. Raises Invalid."""
    return money.parse_yuan(form[name], name) if form[name] else 0


def yes_no(text: str) -> bool | None:
    """The three answers of a question that may stay open.

    >>> yes_no("yes"), yes_no("no"), yes_no("")
    (True, False, None)
    """
    return {"yes": True, "no": False}.get(text)


def gathered(*readings: Callable[[], Any]) -> list[Any]:
    """The results of several readings (functions without parameters), or Invalid with all their faults."""
    out: list[Any] = []
    faults: list[Fault] = []
    for read in readings:
        try:
            out.append(read())
        except Invalid as wrong:
            faults += wrong.faults
    if faults:
        raise Invalid(*faults)
    return out
