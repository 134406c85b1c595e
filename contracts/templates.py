"""示范文本 Versioned contract texts on disk: one source of clauses for the hash, the page and the PDF."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, get_args

from contracts.derived import slots_of
from contracts.parties import Party
from contracts.problems import TemplateNotFound
from contracts.slots import Slot
from contracts.terms import Terms
from storage.kernel.canonical import digest, sha256_hex
from storage.kernel.problem import Fault, Invalid
from storage.kernel.words import Lang, Words

FORMAT = "shugang-contract/1"
LANGS: tuple[Lang, ...] = get_args(Lang)
_HERE = Path(__file__).resolve().parent.parent
# In a checkout the texts stand beside the packages; in a wheel they travel inside `market`.
ROOT = (
    next((p for p in (_HERE / "templates", _HERE / "market" / "templates") if p.is_dir()), _HERE)
    / "contracts"
)
_FOLDER = re.compile(r"[a-z0-9]+([-.][a-z0-9]+)*")
_BLANK = re.compile(r"\{(@?)([a-z][a-z0-9_]*)\}")
_ALWAYS = (
    Slot(name="number", type="text", zh="编号", en="Number", source="terms"),
    Slot(name="dated", type="date", zh="日期", en="Date", source="terms"),
)


class TemplateBroken(Exception):
    """A template on disk contradicts itself. A mistake of its author, never of a caller."""


@dataclass(frozen=True)
class Template:
    """示范文本. One version of a contract text, in both languages.

    `code` goes into contract numbers; `prevails` is the language that decides; `parties` are the slots of
    those who sign; `sha256` is taken over the files, so a changed file is another template.
    """

    slug: str
    version: str
    code: str
    title: Words
    prevails: Lang
    parties: tuple[str, ...]
    slots: Mapping[str, Slot]
    clauses: Mapping[Lang, Mapping[str, Any]]
    sha256: str

    def to_fill(self) -> list[Slot]:
        """The slots a provider or a buyer fills in: all but those the terms decide."""
        return [slot for slot in self.slots.values() if slot.source != "terms"]

    def filled(self, terms: Terms, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every slot with its value: from the terms, as given, or by default.

        Raises Invalid naming each slot that is missing, unknown, wrong, or not the caller's to fill.
        """
        open_slots = {slot.name for slot in self.to_fill()}
        faults = [
            Fault(
                name,
                "extra_forbidden",
                Words("没有这个要素，或它由条款决定。", "No such slot, or the terms decide it."),
            )
            for name in sorted(given.keys() - open_slots)
        ]
        decided = slots_of(terms)
        values = {
            name: decided[name] if slot.source == "terms" else given.get(name, slot.default)
            for name, slot in self.slots.items()
        }
        for name, slot in self.slots.items():
            needed = slot.required or bool(slot.required_when and values[slot.required_when])
            faults += slot.check(values[name], name, required=needed)
        if faults:
            raise Invalid(*faults)
        return {name: value for name, value in values.items() if value not in (None, "")}


def templates(root: Path = ROOT) -> list[Template]:
    """Every template on disk, by name and version."""
    return [
        load(path.parent.parent.name, path.parent.name, root) for path in sorted(root.glob("*/*/fields.toml"))
    ]


def latest(slug: str, root: Path = ROOT) -> Template:
    """The newest version of a template. Raises TemplateNotFound."""
    versions = [template for template in templates(root) if template.slug == slug]
    if not versions:
        raise TemplateNotFound(template=slug)
    return max(versions, key=lambda template: [int(part) for part in template.version.split(".")])


@cache
def load(slug: str, version: str, root: Path = ROOT) -> Template:
    """One template, checked. Raises TemplateNotFound, or TemplateBroken when its languages differ in shape."""
    folder = root / slug / version
    if not (_FOLDER.fullmatch(slug) and _FOLDER.fullmatch(version) and (folder / "fields.toml").is_file()):
        raise TemplateNotFound(template=f"{slug}/{version}")
    files = {name: (folder / name).read_bytes() for name in ("fields.toml", "zh.toml", "en.toml")}
    parsed = {name: tomllib.loads(content.decode()) for name, content in files.items()}
    head = parsed["fields.toml"]
    template = Template(
        slug=slug,
        version=version,
        code=head["code"],
        title=Words(head["title"]["zh"], head["title"]["en"]),
        prevails=head["prevails"],
        parties=tuple(head["parties"]),
        slots={slot["name"]: Slot(**slot) for slot in head["slots"]},
        clauses={lang: parsed[f"{lang}.toml"] for lang in LANGS},
        sha256=digest({name: sha256_hex(content) for name, content in files.items()}),
    )
    _require_same_shape(template)
    return template


def compose(
    template: Template, terms: Terms, given: Mapping[str, Any], *, number: str, dated: date
) -> dict[str, Any]:
    """成文. The canonical content of a contract: template, terms, slots and the whole text in both languages.

    Plain JSON values; the same input gives the same content. Raises Invalid as `Template.filled` does.
    """
    values = template.filled(terms, given)
    return {
        "format": FORMAT,
        "number": number,
        "dated": dated.isoformat(),
        "template": {"slug": template.slug, "version": template.version, "sha256": template.sha256},
        "prevails": template.prevails,
        "terms": terms.document(),
        "slots": values,
        "text": {lang: _Writer(template, values, number, dated, lang).write() for lang in LANGS},
    }


def content_hash(content: Mapping[str, Any]) -> str:
    """内容哈希. SHA-256 (hex) over the canonical JSON (RFC 8785) of a contract's content."""
    return digest(content)


class _Writer:
    """Writes the clauses of one language with the slots filled in."""

    def __init__(
        self, template: Template, values: Mapping[str, Any], number: str, dated: date, lang: Lang
    ) -> None:
        self.template, self.lang = template, lang
        self.source = template.clauses[lang]
        self.slots = {**template.slots, **{slot.name: slot for slot in _ALWAYS}}
        self.values = {**values, "number": number, "dated": dated.isoformat()}
        self.articles = {article["id"]: index + 1 for index, article in enumerate(self.source["articles"])}
        self.annexes = {annex["id"]: index + 1 for index, annex in enumerate(self.source.get("annexes", []))}

    def write(self) -> dict[str, Any]:
        source = self.source
        return {
            "title": self.template.title.say(self.lang),
            "note": self.fill(source["note"]),
            "cover": [[self.slots[name].label.say(self.lang), self.say(name)] for name in source["cover"]],
            "parties": [self._party(name) for name in self.template.parties],
            "preamble": [self.fill(text) for text in source["preamble"]],
            "articles": [
                self._section(a, self._article_number(a["id"]), str(n + 1))
                for n, a in enumerate(source["articles"])
            ],
            "annexes": [
                self._section(a, self._annex_number(a["id"]), f"A{n + 1}")
                for n, a in enumerate(source.get("annexes", []))
            ],
            "closing": [self.fill(text) for text in source["closing"]],
        }

    def say(self, name: str) -> str:
        if name not in self.values:
            raise TemplateBroken(f"{self.template.slug}: {{{name}}} is printed but may be empty")
        return self.slots[name].say(self.values[name], self.lang)

    def fill(self, text: str) -> str:
        return _BLANK.sub(lambda m: self._reference(m[2]) if m[1] else self.say(m[2]), text)

    def _reference(self, place: str) -> str:
        return self._article_number(place) if place in self.articles else self._annex_number(place)

    def _article_number(self, place: str) -> str:
        number = self.articles[place]
        return f"第{_chinese(number)}条" if self.lang == "zh" else f"Article {number}"

    def _annex_number(self, place: str) -> str:
        number = self.annexes[place]
        return f"附件{_chinese(number)}" if self.lang == "zh" else f"Annex {number}"

    def _party(self, name: str) -> dict[str, Any]:
        rows = Party(**self.values[name]).rows()
        return {
            "slot": name,
            "role": self.slots[name].label.say(self.lang),
            "name": self.say(name),
            "rows": [[label.say(self.lang), value.say(self.lang)] for label, value in rows],
        }

    def _section(self, section: Mapping[str, Any], number: str, stem: str) -> dict[str, Any]:
        clauses = [clause for clause in map(_clause, section["clauses"]) if self._applies(clause.get("when"))]
        return {
            "number": number,
            "heading": section["heading"],
            "clauses": [
                {
                    "number": f"{stem}.{index + 1}",
                    "text": self.fill(clause["text"]),
                    "points": [self.fill(item) for item in clause.get("items", [])],
                    "table": self._table(clause.get("table")),
                }
                for index, clause in enumerate(clauses)
            ],
        }

    def _table(self, name: str | None) -> dict[str, Any] | None:
        return self.slots[name].table(self.values[name], self.lang) if name else None

    def _applies(self, when: str | None) -> bool:
        return all(self._holds(part) for part in when.split(" and ")) if when else True

    def _holds(self, part: str) -> bool:
        match part.split():
            case [name]:
                return bool(self.values.get(name))
            case ["not", name]:
                return not self.values.get(name)
            case [name, "is", value]:
                return bool(self.values.get(name) == value)
            case [name, "has", value]:
                return value in self.values.get(name, [])
        raise TemplateBroken(f"{self.template.slug}: cannot read the condition {part!r}")


def _clause(clause: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"text": clause} if isinstance(clause, str) else clause


def _require_same_shape(template: Template) -> None:
    zh, en = (list(_shape(template.clauses[lang])) for lang in LANGS)
    for ours, theirs in zip(zh, en, strict=False):
        if ours != theirs:
            raise TemplateBroken(f"{template.slug}/{template.version}: zh has {ours}, en has {theirs}")
    if len(zh) != len(en):
        raise TemplateBroken(f"{template.slug}/{template.version}: one language has more clauses")
    places = {
        s["id"]
        for lang in LANGS
        for part in ("articles", "annexes")
        for s in template.clauses[lang].get(part, [])
    }
    known = template.slots.keys() | {slot.name for slot in _ALWAYS}
    for lang in LANGS:
        for mark, name in _BLANK.findall(str(template.clauses[lang])):
            if name not in (places if mark else known):
                raise TemplateBroken(f"{template.slug}/{template.version}: {{{mark}{name}}} names nothing")


def _shape(source: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for part in ("note", "preamble", "closing", "cover"):
        yield part, len(source[part]) if isinstance(source[part], list) else 1, _blanks(source[part])
    for part in ("articles", "annexes"):
        for section in source.get(part, []):
            for index, clause in enumerate(map(_clause, section["clauses"])):
                printed = [clause["text"], *clause.get("items", [])]
                yield (
                    section["id"],
                    index,
                    clause.get("when"),
                    clause.get("table"),
                    len(printed),
                    _blanks(printed),
                )


def _blanks(text: Any) -> tuple[str, ...]:
    return tuple(sorted({name for _, name in _BLANK.findall(str(text))}))


def _chinese(number: int) -> str:
    tens, ones = divmod(number, 10)
    digits = ("", "一", "二", "三", "四", "五", "六", "七", "八", "九")
    return (digits[tens] if tens > 1 else "") + ("十" if tens else "") + digits[ones]
