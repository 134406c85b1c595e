"""The generated pages say what the code says; links between pages lead somewhere."""

import re
from pathlib import Path

import pytest

from docs import generate
from tests.house.tree import ROOT

COMMAND = "run `make docs` and commit what it writes"


def test_the_generated_pages_are_current() -> None:
    assert generate.stale() == [], COMMAND


def test_writing_twice_gives_the_same() -> None:
    for write in generate.PAGES.values():
        assert write() == write()


def test_a_stale_page_is_caught(tmp_path: Path) -> None:
    for name, write in generate.PAGES.items():
        (tmp_path / name).write_text(write(), encoding="utf-8")
    assert generate.stale(tmp_path) == []
    page = tmp_path / "settings.md"
    page.write_text(
        page.read_text(encoding="utf-8").replace("SHUGANG_PORT", "SHUGANG_DOOR"), encoding="utf-8"
    )
    (tmp_path / "states.md").unlink()
    assert generate.stale(tmp_path) == ["settings.md", "states.md"]
    print(f"generated pages are current → caught: {generate.stale(tmp_path)}; {COMMAND}")


def test_the_pages_cover_the_house() -> None:
    assert len(generate.machines()) >= 8
    assert generate.problems().count("\n## ") >= 60
    assert generate.settings().count("| `SHUGANG_") >= 24
    assert generate.glossary().count("\n## ") >= 35
    assert generate.permissions().count("| `GET /") >= 8


PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
        assert (page.parent / target).exists(), f"{page.name} → {target}"


DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PARTS = ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(page.name.partition("-")[0]) for page in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))
    assert len(DECISIONS) >= 6


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_parts_and_names_what_enforces_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    enforced = text.partition("## Enforced by")[2]
    named = re.findall(r"`([\w./-]+\.(?:py|toml))`", enforced)
    assert named, "name the test or the file that holds it"
    for name in named:
        assert (ROOT / name).exists(), name
