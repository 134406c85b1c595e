"""Pages: Jinja templates with strict names, escaped, in the reader's language."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import markupsafe
from fastapi import Request
from fastapi.responses import HTMLResponse

from market.http.who import house_of, lang_of, visitor
from market.identity.rules import Permission
from market.settings import TEMPLATES
from storage.kernel import money
from storage.kernel.words import Lang, Worded, Words


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """The one Jinja environment: an undefined name is an error, everything is escaped."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["yuan"] = lambda fen: f"¥{money.yuan(fen)}"
    env.filters["capital"] = money.capital
    env.filters["count"] = lambda number: f"{number:,}"
    env.filters["size"] = human_size
    env.filters["words"] = options
    env.filters["say_words"] = lambda words, lang: words.say(lang)
    env.filters["word_in"] = lambda value, lang: value.words.say(lang)
    env.globals["Permission"] = Permission
    return env


def options(kind: Iterable[Worded], lang: Lang) -> list[tuple[str, str]]:
    """The members of an enum as (value, label) pairs of a choice."""
    return [(member.value, member.words.say(lang)) for member in kind]


def human_size(size: int) -> str:
    """Bytes as people read them, with whole tenths and no float.

    >>> human_size(999), human_size(1536), human_size(5 << 30)
    ('999 B', '1.5 KiB', '5.0 GiB')
    """
    tenths, units = size * 10, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while tenths >= 10_240 and len(units) > 1:
        tenths, units = tenths // 1024, units[1:]
    return f"{size} B" if units[0] == "B" else f"{tenths // 10}.{tenths % 10} {units[0]}"


class Reader:
    """What a template may ask about its reader: language, time zone, and what may be done."""

    def __init__(self, lang: Lang, zone: str) -> None:
        self.lang = lang
        self.zone = ZoneInfo(zone)

    def t(self, zh: str, en: str, **values: object) -> str:
        """The text in the reader's language; `{name}` is filled from the values."""
        text = zh if self.lang == "zh" else en
        return text.format(**values) if values else text

    def word(self, value: Worded | Words | dict[str, str]) -> str:
        """The words of an enum member, of Words, or of a `{"zh", "en"}` mapping."""
        if isinstance(value, Worded):
            return value.words.say(self.lang)
        if isinstance(value, Words):
            return value.say(self.lang)
        return value[self.lang]

    def when(self, moment: datetime | None) -> str | markupsafe.Markup:
        """A moment in the market's time zone, as a `<time>` element."""
        if moment is None:
            return "—"
        local = moment.astimezone(self.zone)
        return markupsafe.Markup('<time datetime="{}">{}</time>').format(
            moment.isoformat(), local.strftime("%Y-%m-%d %H:%M")
        )


def page(request: Request, template: str, /, status: int = 200, **context: Any) -> HTMLResponse:
    """Render `templates/web/{template}` for this reader."""
    house = house_of(request)
    caller = visitor(request)
    reader = Reader(lang_of(request), house.settings.timezone)
    body = (
        environment()
        .get_template(f"web/{template}")
        .render(
            request=request,
            lang=reader.lang,
            t=reader.t,
            word=reader.word,
            when=reader.when,
            user=caller.user,
            actor=caller.actor,
            csrf=caller.session.csrf if caller.session else "",
            settings=house.settings,
            **context,
        )
    )
    return HTMLResponse(body, status_code=status)
