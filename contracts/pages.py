"""The contract as a page: the same clauses as in the hash and the PDF, through Jinja2."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from contracts.templates import ROOT, content_hash
from storage.kernel.words import Lang


def render_html(content: Mapping[str, Any], lang: Lang, *, root: Path = ROOT) -> str:
    """合同网页. An HTML fragment (one `article`) with the whole text of a contract in `lang`."""
    page = _environment(root).get_template("contract.html.j2")
    return page.render(
        text=content["text"][lang], number=content["number"], hash=content_hash(content), lang=lang
    )


def plain_text(content: Mapping[str, Any], lang: Lang) -> str:
    """许可全文. The whole text in `lang` as plain lines, for answers that carry no page."""
    text = content["text"][lang]
    lines = [text["title"], text["note"], *(f"{label}: {value}" for label, value in text["cover"])]
    for party in text["parties"]:
        lines += [party["role"], *(f"{label}: {value}" for label, value in party["rows"])]
    lines += text["preamble"]
    for section in [*text["articles"], *text["annexes"]]:
        lines.append(f"{section['number']} {section['heading']}")
        for clause in section["clauses"]:
            lines += [f"{clause['number']} {clause['text']}", *clause["points"]]
    return "\n".join([*lines, *text["closing"]])


@cache
def _environment(root: Path) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(root),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
