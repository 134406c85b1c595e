"""The trading rules everybody accepts with an order: published, versioned, with their hash."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from fastapi import APIRouter, Request
from fastapi.responses import Response

from market.http.render import page
from market.http.who import LangDep
from market.settings import TEMPLATES
from market.trading.rules import RULES_VERSION
from market.web.forms import GUARDED
from storage.kernel.problem import NotFound
from storage.kernel.words import Lang

router = APIRouter(prefix="/rules", dependencies=GUARDED)


@dataclass(frozen=True, slots=True)
class Text:
    """One language's text: its title, its chapters as (heading, articles), and the file's own bytes."""

    title: str
    chapters: tuple[tuple[str, tuple[str, ...]], ...]
    raw: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the file."""
        return hashlib.sha256(self.raw).hexdigest()


@lru_cache(maxsize=8)
def text(version: str, lang: Lang) -> Text:
    """交易规则. The text of one version: a title line, `## heading` lines, and one article per line."""
    raw = (TEMPLATES / "web" / "rules" / f"{version}.{lang}.md").read_bytes()
    title, *lines = [line.strip() for line in raw.decode().splitlines() if line.strip()]
    chapters: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("## "):
            chapters.append((line[3:], []))
        else:
            chapters[-1][1].append(line)
    return Text(title.removeprefix("# "), tuple((head, tuple(said)) for head, said in chapters), raw)


@router.get("")
def rules(request: Request, lang: LangDep) -> Response:
    """交易规则 · The rules in force, in the reader's language."""
    return page(request, "rules.html", text=text(RULES_VERSION, lang), version=RULES_VERSION)


@router.get("/{version}/{lang}")
def download(version: str, lang: str) -> Response:
    """下载 · The text as a file. Raises NotFound."""
    if version != RULES_VERSION or lang not in {"zh", "en"}:
        raise NotFound(version=version)
    return Response(
        text(version, "zh" if lang == "zh" else "en").raw,
        media_type="text/markdown; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="shugang-rules-{version}.{lang}.md"'},
    )
