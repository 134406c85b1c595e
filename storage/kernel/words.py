"""Every text a person reads exists twice: Chinese first, English second."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

Lang = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Words:
    """One text in both languages.

    >>> Words("许可", "License").say("en")
    'License'
    """

    zh: str
    en: str

    def say(self, lang: Lang) -> str:
        """The text in `lang`."""
        return self.zh if lang == "zh" else self.en

    def fill(self, **values: object) -> "Words":
        """Both texts with `{name}` replaced by the values."""
        return Words(self.zh.format(**values), self.en.format(**values))

    def both(self) -> dict[str, str]:
        """`{"zh": …, "en": …}`, the shape used in JSON."""
        return {"zh": self.zh, "en": self.en}


class Worded(StrEnum):
    """An enumeration whose members carry their words: `ACTIVE = "active", "生效", "Active"`.

    Compares, stores and serializes as its value. Every enumeration of the house derives from it.
    """

    words: Words
    _value_: str

    def __new__(cls, value: str, zh: str = "", en: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.words = Words(zh, en)
        return member
