"""What a negative rule catches, and why: declared facts against typed conditions; pure."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from contracts.terms import DeliveryMode
from market.lists.rules import TESTS, Condition, Entry
from market.policy.inputs import DataGrade, OpenAttr, PersonalInfo, SourceKind, SupplyKind
from storage.kernel.problem import Fault
from storage.kernel.words import Words


@dataclass(frozen=True, slots=True)
class Declared:
    """申报事实. What is declared of an asset, or of a product made from it; unknown is None or empty."""

    texts: tuple[str, ...] = ()
    category: str = ""
    industry: str = ""
    fields: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    grade: DataGrade | None = None
    source: SourceKind | None = None
    supply: SupplyKind | None = None
    open_attr: OpenAttr | None = None
    personal: PersonalInfo | None = None
    has_basis: bool = True
    delivery: frozenset[DeliveryMode] = frozenset()


@dataclass(frozen=True, slots=True)
class Rule:
    """负面规则. One entry of the negative list as it stands in one version."""

    code: str
    revision: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Hit:
    """命中. A rule that catches something, and by what: (test, the value that matched)."""

    rule: Rule
    matched: tuple[tuple[str, str], ...]

    @property
    def why(self) -> Words:
        """The whole explanation: number, name, what matched, law and article, reason."""
        entry = self.rule.entry
        zh = "；".join(
            f"{TESTS[test].zh}“{found}”" if found else TESTS[test].zh for test, found in self.matched
        )
        en = "; ".join(
            f"{TESTS[test].en} “{found}”" if found else TESTS[test].en for test, found in self.matched
        )
        return Words(
            f"命中负面清单 {self.rule.code}《{entry.title_zh}》（{entry.law}{entry.article}）："
            f"{zh}。理由：{entry.reason_zh}",
            f"On the negative list, {self.rule.code} “{entry.title_en}” ({entry.law} {entry.article}): "
            f"{en}. Reason: {entry.reason_en}",
        )

    def fault(self, field: str = "negative_list") -> Fault:
        """The hit as rule T01 of the tier rules."""
        return Fault(field, f"T01.{self.rule.code}", self.why)


def plain(text: str) -> str:
    """Text as it is compared: one width, one case, nothing but letters, digits and Chinese.

    >>> plain("ID_Card　No."), plain("身 份 证")
    ('idcardno', '身份证')
    """
    return "".join(char for char in unicodedata.normalize("NFKC", text).casefold() if char.isalnum())


def caught(condition: Condition, declared: Declared) -> tuple[tuple[str, str], ...] | None:
    """What of the condition matched, test by test; None unless every test that is asked holds."""
    if condition.empty:
        return None
    matched = []
    for name in type(condition).model_fields:
        asked = getattr(condition, name)
        if not asked:
            continue
        found = _test(name, asked, declared)
        if found is None:
            return None
        matched.append((name, found))
    return tuple(matched)


def _test(name: str, asked: Any, declared: Declared) -> str | None:
    match name:
        case "words":
            return _inside(asked, declared.texts)
        case "fields":
            return _inside(asked, declared.fields)
        case "categories":
            return _begins(asked, declared.category)
        case "industries":
            return _begins(asked, declared.industry)
        case "codes":
            known = {plain(code) for code in declared.codes if code}
            return next((code for code in asked if plain(code) in known), None)
        case "delivery":
            return next((mode.words.zh for mode in asked if mode in declared.delivery), None)
        case "without_basis":
            about_people = declared.personal in {PersonalInfo.PI, PersonalInfo.SPI}
            return "" if about_people and not declared.has_basis else None
        case _:
            value = getattr(declared, _FACT[name])
            return value.words.zh if value in asked else None


_FACT = {
    "grades": "grade",
    "sources": "source",
    "supplies": "supply",
    "open_attrs": "open_attr",
    "personal": "personal",
}


def _inside(asked: Sequence[str], texts: Sequence[str]) -> str | None:
    known = [plain(text) for text in texts]
    return next((word for word in asked if plain(word) and any(plain(word) in text for text in known)), None)


def _begins(asked: Sequence[str], text: str) -> str | None:
    known = plain(text)
    return next((start for start in asked if known and known.startswith(plain(start))), None)


def hits(rules: Sequence[Rule], declared: Declared, day: date) -> list[Hit]:
    """命中的规则. Every rule in force on `day` that catches what is declared, in the order of their codes."""
    found = []
    for rule in sorted(rules, key=lambda each: each.code):
        if rule.entry.condition is None or not rule.entry.holds_on(day):
            continue
        matched = caught(rule.entry.condition, declared)
        if matched is not None:
            found.append(Hit(rule, matched))
    return found
