"""Everything a person reads exists in Chinese and in English; everything an operator sets is described."""

import re
from collections.abc import Iterator
from enum import Enum, StrEnum

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from market.identity.rules import Permission
from market.settings import Settings
from storage.kernel.problem import Problem
from storage.kernel.words import Worded, Words
from tests.house.tree import caught, descendants

CHINESE = re.compile(r"[\u4e00-\u9fff]")
WITHOUT_WORDS = {Permission}  # a program's vocabulary; the roles that hold them carry the words


def word_faults(kind: type[Enum]) -> list[str]:
    """What is wrong with the words of one enumeration."""
    if kind is Worded or kind in WITHOUT_WORDS:
        return []
    if not issubclass(kind, Worded):
        return [f"{kind.__module__}.{kind.__name__} is no Worded"]
    return [
        f"{kind.__module__}.{member!r}: {fault}" for member in kind for fault in text_faults(member.words)
    ]


def text_faults(words: Words) -> Iterator[str]:
    """A text needs Chinese characters in zh (a proper name may stay as it is) and none in en."""
    if not words.zh or not (CHINESE.search(words.zh) or words.zh == words.en):
        yield "no Chinese"
    if not words.en or not words.en.strip() or CHINESE.search(words.en):
        yield "no English"


def test_every_enumeration_has_its_words() -> None:
    kinds = descendants(Enum)
    assert [fault for kind in kinds for fault in word_faults(kind)] == []
    assert len([kind for kind in kinds if issubclass(kind, Worded)]) >= 20


def test_an_enumeration_without_words_is_caught() -> None:
    class Silent(Worded):
        THING = "thing"

    class Plain(StrEnum):
        THING = "thing"

    caught("every value has its words", word_faults(Silent))
    caught("every enumeration is Worded", word_faults(Plain))


def problem_faults(kind: type[Problem]) -> Iterator[str]:
    """What is missing in one kind of refusal."""
    name = f"{kind.__module__}.{kind.__name__}"
    for what in ("title", "remedy"):
        for fault in text_faults(getattr(kind, what)):
            yield f"{name}.{what}: {fault}"
    if not CHINESE.search((vars(kind).get("__doc__") or "").partition(".")[0]):
        yield f"{name}: the docstring opens with the Chinese term"
    if not 400 <= kind.status <= 599:
        yield f"{name}: status {kind.status}"


def test_every_refusal_explains_itself() -> None:
    kinds = descendants(Problem)
    assert [fault for kind in kinds for fault in problem_faults(kind)] == []
    assert len(kinds) >= 30
    slugs = [kind.slug() for kind in kinds]
    assert sorted(slugs) == sorted(set(slugs)), "two refusals share a name, so they share an address"


def test_a_silent_refusal_is_caught() -> None:
    class Silent(Problem):
        """Without Chinese."""

        title = Words("Broken", "坏了")

    caught("every refusal explains itself", list(problem_faults(Silent)))


def undescribed(model: type[BaseModel], prefix: str = "SHUGANG_") -> list[str]:
    """Settings nobody described; slices are followed."""
    found = []
    for name, info in model.model_fields.items():
        inner = _slice(info)
        if inner:
            found += undescribed(inner, f"{prefix}{name.upper()}__")
        elif not (info.description or "").strip():
            found.append(f"{prefix}{name.upper()}")
    return found


def _slice(info: FieldInfo) -> type[BaseModel] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def test_every_setting_is_described() -> None:
    assert undescribed(Settings) == []
    for kind in descendants(BaseModel):  # a slice that nobody composed yet, too
        if kind.__module__.endswith(".settings"):
            assert undescribed(kind, f"{kind.__name__}.") == []
    assert len(Settings.model_fields) >= 12


def test_an_undescribed_setting_is_caught() -> None:
    class Slice(BaseModel):
        secret: str = ""

    class Planted(BaseModel):
        port: int = 1
        inner: Slice = Slice()

    assert undescribed(Planted) == ["SHUGANG_PORT", "SHUGANG_INNER__SECRET"]
    caught("every setting is described", undescribed(Planted))
