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


@cache
def _environment(root: Path) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(root),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
