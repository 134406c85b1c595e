"""How a file reads: one opening sentence, a size for the head, imports at the top, the clock in one place."""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, Source, caught, sources

LINES = 500  # a habit: said when passed
MOST_LINES = 600  # a law
DRAWERS = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
CLOCKS = {"storage.kernel.clock", "storage.kernel.ids"}
CLOCK_CALLS = re.compile(r"(^|\.)(datetime\.(now|utcnow|today)|date\.today|time\.time(_ns)?)$")
PRINTERS = re.compile(r"^market\.(cli|demo)(\.|$)")


def opening(source: Source) -> Iterator[str]:
    text = (ast.get_docstring(source.tree) or "").split("\n\n")[0]
    if not text:
        yield source.at(source.tree, "opens without a sentence")
    elif text.rstrip()[-1] not in ".。…":
        yield source.at(source.tree, "its first sentence has no end")


def size(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > MOST_LINES:
        yield source.at(source.tree, f"{lines} lines: more than a head holds")
    elif lines > LINES:
        print(f"{source.path}: {lines} lines; time to find the second noun in it")


def drawers(source: Source) -> Iterator[str]:
    if set(source.name.split(".")) & DRAWERS:
        yield source.at(source.tree, "a drawer for odds and ends; name what is in it")


def web_exceptions(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if source.dotted(raised).endswith("HTTPException"):
                yield source.at(node, "a refusal is a Problem, never an HTTPException")


def hidden_imports(source: Source) -> Iterator[str]:
    for function in ast.walk(source.tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield source.at(node, "an import inside a function")


def marks(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if re.search(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b", line):
            yield f"{source.path}:{number}: something left for later"


def clocks(source: Source) -> Iterator[str]:
    if source.name not in CLOCKS:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and CLOCK_CALLS.search(source.dotted(node.func)):
                yield source.at(node, "reads the system clock; ask storage.kernel.clock")


def prints(source: Source) -> Iterator[str]:
    if not PRINTERS.match(source.name):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield source.at(node, "prints; only the command line speaks")


def swallowed(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield source.at(node, "a bare except")


SENTENCE = '"""What it is."""\n'
LAWS: list[tuple[Callable[[Source], Iterator[str]], str, str]] = [
    (opening, "market.planted", "x = 1\n"),
    (size, "market.planted", SENTENCE + "x = 1\n" * 601),
    (drawers, "market.billing.utils", SENTENCE),
    (
        web_exceptions,
        "market.api.planted",
        SENTENCE + "from fastapi import HTTPException\ndef f():\n    raise HTTPException(404)\n",
    ),
    (hidden_imports, "market.planted", SENTENCE + "def f():\n    import os\n"),
    (marks, "market.planted", SENTENCE + "# TO" + "DO later\n"),
    (clocks, "market.planted", SENTENCE + "from datetime import datetime\ndatetime.now()\n"),
    (clocks, "market.planted", SENTENCE + "import time\ntime.time()\n"),
    (clocks, "market.planted", SENTENCE + "import datetime as dt\ndt.datetime.now(dt.UTC)\n"),
    (prints, "market.billing.planted", SENTENCE + "print(1)\n"),
    (swallowed, "market.planted", SENTENCE + "try:\n    f()\nexcept:\n    pass\n"),
]


@pytest.mark.parametrize("law", dict.fromkeys(law for law, _, _ in LAWS), ids=lambda law: law.__name__)
def test_every_file_keeps_the_law(law: Callable[[Source], Iterator[str]]) -> None:
    assert [complaint for source in sources() for complaint in law(source)] == []


@pytest.mark.parametrize(("law", "name", "text"), LAWS)
def test_a_planted_file_is_caught(law: Callable[[Source], Iterator[str]], name: str, text: str) -> None:
    caught(law.__name__, list(law(Source(name, text))))


def test_monotonic_time_is_no_clock() -> None:
    assert (
        list(clocks(Source("market.planted", "import time\ntime.monotonic()\ntime.perf_counter()\n"))) == []
    )


# ------------------------------------------------------------------ every tracked file

FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.}-])/(ro" + r"ot|wo" + r"rk|ho" + r"me/\w+)/[\w.]"),
    "a package index": re.compile(
        r"(pypi\." + r"org/simple|files\.python" + r"hosted|index-u" + r"rl|extra-in" + r"dex|pypi\.tuna)"
    ),
    "a key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bsk_live_\w{8}"),
}


def stains(name: str, text: str) -> list[str]:
    """What a tracked file should not say."""
    return [
        f"{name}:{number}: {what}: {line.strip()[:80]}"
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]


def tracked(root: Path) -> list[Path]:
    """Files under version control, or every file when this is no checkout (a source archive)."""
    run = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=False)
    if run.returncode == 0:
        return [root / name for name in run.stdout.decode().split("\0") if name]
    skip = {".venv", "var", "__pycache__"}
    return [path for path in root.rglob("*") if path.is_file() and not skip & set(path.parts)]


def test_no_file_tells_of_a_machine_or_an_index() -> None:
    complaints, seen = [], 0
    for path in tracked(ROOT):
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image or an archive
        seen += 1
        complaints += stains(str(path.relative_to(ROOT)), text)
    assert complaints == []
    assert seen >= 100


def test_a_stain_is_caught() -> None:
    for text in ("see /ro" + "ot/notes.md", "--index-u" + "rl x", "/ho" + "me/someone/file"):
        caught("no file tells of a machine", stains("README.md", text))
    assert stains("x", "from market/http/work.py and https://example.com/work/a") == []
