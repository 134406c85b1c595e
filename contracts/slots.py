"""合同要素 The typed blanks of a template: how each is checked and how each language prints it."""

from datetime import date
from typing import Any, Literal

from pydantic import Field

from contracts.parties import IdentityKind, Party
from contracts.terms import DeliveryMode, Purpose, RightKind, Territory, Tier, VersionRule
from contracts.values import Value
from storage.kernel.money import MAX_FEN, capital, yuan
from storage.kernel.problem import Fault, Invalid
from storage.kernel.words import Lang, Worded, Words

ENUMS: dict[str, type[Worded]] = {
    kind.__name__: kind
    for kind in (DeliveryMode, IdentityKind, Purpose, RightKind, Territory, Tier, VersionRule)
}
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]

SlotType = Literal["text", "party", "money", "date", "int", "flag", "choice", "choices", "table"]


class Slot(Value):
    """要素. One blank: its type, who fills it, its words, and the rules its value must keep.

    source: `terms` slots come from the frozen terms and cannot be passed in; the others are filled by the
    provider at listing or by the buyer with the order.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    type: SlotType
    zh: str
    en: str
    source: Literal["terms", "listing", "order"] = "listing"
    required: bool = True
    required_when: str | None = None  # the name of a flag that makes it required
    default: Any = None
    min: int | None = None
    max: int | None = None
    max_length: int = 2000
    enum: str | None = None
    choices: dict[str, Words] = Field(default_factory=dict)
    columns: tuple["Slot", ...] = ()

    @property
    def label(self) -> Words:
        return Words(self.zh, self.en)

    def options(self) -> dict[str, Words]:
        """The values a choice may take, with their words."""
        if self.enum:
            return {str(member): member.words for member in ENUMS[self.enum]}
        return self.choices

    def check(self, value: Any, at: str, *, required: bool) -> list[Fault]:
        """Everything wrong with `value` (a JSON value), named by its dotted place `at`."""
        if value is None or value in ("", [], {}):
            return [self._fault(at, "missing", "必填。", "required.")] if required else []
        wrong: Fault | list[Fault] | None = getattr(self, f"_check_{self.type}")(value, at)
        return wrong if isinstance(wrong, list) else [wrong] if wrong else []

    def say(self, value: Any, lang: Lang) -> str:
        """`value` as the text of a contract prints it in `lang`."""
        if value is None:
            return "不限" if lang == "zh" else "unlimited"
        said: str = getattr(self, f"_say_{self.type}")(value, lang)
        return said

    def _fault(self, at: str, rule: str, zh: str, en: str) -> Fault:
        return Fault(at, rule, Words(f"{self.zh}：{zh}", f"{self.en}: {en}"))

    def _check_text(self, value: Any, at: str) -> Fault | None:
        texts = [value] if isinstance(value, str) else list(value.values()) if _is_words(value) else []
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            return self._fault(at, "text", "须为文字。", "must be text.")
        if max(map(len, texts)) > self.max_length:
            return self._fault(
                at, "text.long", f"最多 {self.max_length} 个字。", f"at most {self.max_length} characters."
            )
        return None

    def _say_text(self, value: Any, lang: Lang) -> str:
        # A sentence dropped into a list must not end twice.
        return str(value[lang] if isinstance(value, dict) else value).strip().rstrip("。；;")

    def _check_party(self, value: Any, at: str) -> list[Fault]:
        try:
            Party(**value)
        except Invalid as wrong:
            return [Fault(f"{at}.{fault.field}", fault.rule, fault.words) for fault in wrong.faults]
        except TypeError:
            return [self._fault(at, "party", "须为主体信息。", "must be a party.")]
        return []

    def _say_party(self, value: Any, lang: Lang) -> str:
        return Party(**value).title().say(lang)

    def _check_int(self, value: Any, at: str) -> Fault | None:
        if type(value) is not int:
            return self._fault(at, "int", "须为整数。", "must be a whole number.")
        if self.min is not None and value < self.min:
            return self._fault(at, "int.small", f"不能小于 {self.min}。", f"must be at least {self.min}.")
        if self.max is not None and value > self.max:
            return self._fault(at, "int.large", f"不能大于 {self.max}。", f"must be at most {self.max}.")
        return None

    def _say_int(self, value: Any, _lang: Lang) -> str:
        return f"{value:,}"

    def _check_money(self, value: Any, at: str) -> Fault | None:
        if type(value) is not int or not 0 <= value <= MAX_FEN:
            return self._fault(
                at, "money", "须为非负整数（分）。", "must be a whole, non-negative number of fen."
            )
        return None

    def _say_money(self, value: Any, lang: Lang) -> str:
        if lang == "zh":
            return f"人民币 {yuan(value)} 元（大写：{capital(value)}）"
        return f"CNY {yuan(value)} (in Chinese capitals: {capital(value)})"

    def _check_date(self, value: Any, at: str) -> Fault | None:
        try:
            date.fromisoformat(value)
        except (TypeError, ValueError):
            return self._fault(at, "date", "须为日期（年-月-日）。", "must be a date (YYYY-MM-DD).")
        return None

    def _say_date(self, value: Any, lang: Lang) -> str:
        day = date.fromisoformat(value)
        if lang == "zh":
            return f"{day.year}年{day.month}月{day.day}日"
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"

    def _check_flag(self, value: Any, at: str) -> Fault | None:
        if type(value) is not bool:
            return self._fault(at, "flag", "须为是或否。", "must be true or false.")
        return None

    def _say_flag(self, value: Any, lang: Lang) -> str:
        return Words("是", "yes").say(lang) if value else Words("否", "no").say(lang)

    def _check_choice(self, value: Any, at: str) -> Fault | None:
        options = self.options()
        if not isinstance(value, str) or value not in options:
            listed = ", ".join(options)
            return self._fault(at, "choice", f"可选值：{listed}。", f"choose one of {listed}.")
        return None

    def _say_choice(self, value: Any, lang: Lang) -> str:
        return self.options()[value].say(lang)

    def _check_choices(self, value: Any, at: str) -> Fault | None:
        if not isinstance(value, list):
            return self._fault(at, "choices", "须为列表。", "must be a list.")
        return next((wrong for each in value if (wrong := self._check_choice(each, at))), None)

    def _say_choices(self, value: Any, lang: Lang) -> str:
        said = [self._say_choice(each, lang) for each in value]
        return ("、" if lang == "zh" else ", ").join(said)

    def _check_table(self, value: Any, at: str) -> list[Fault]:
        names = {column.name for column in self.columns}
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            return [self._fault(at, "table", "须为表格的行。", "must be the rows of a table.")]
        faults = [
            self._fault(
                f"{at}.{index}.{extra}", "extra_forbidden", "没有这一列。", "there is no such column."
            )
            for index, row in enumerate(value)
            for extra in sorted(row.keys() - names)
        ]
        for index, row in enumerate(value):
            for column in self.columns:
                faults += column.check(
                    row.get(column.name), f"{at}.{index}.{column.name}", required=column.required
                )
        return faults

    def table(self, rows: list[dict[str, Any]], lang: Lang) -> dict[str, Any]:
        """Head and rows of a table slot, as printed in `lang`."""
        return {
            "head": [column.label.say(lang) for column in self.columns],
            "rows": [[column.say(row.get(column.name), lang) for column in self.columns] for row in rows],
        }


def _is_words(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"zh", "en"}
