"""The laws of direction: the import contracts hold, and each of them catches the violation meant for it."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import PACKAGES, ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
    "contracts"
]
NAMES = {contract["id"]: contract["name"] for contract in CONTRACTS}

# contract → what would break it: (file, its text). A contract without a plant fails below.
PLANTS: dict[str, list[tuple[str, str]]] = {
    "one-way": [
        ("contracts/planted.py", "import metering"),
        ("metering/planted.py", "import market.settings"),
        ("storage/kernel/planted.py", "import contracts"),
    ],
    "rooms": [
        ("market/api/planted.py", "import market.web"),
        ("market/planted.py", ""),  # a room without a place
        ("market/identity/planted.py", "import market.audit.queries"),
    ],
    "ground-floor": [("storage/migrations/planted.py", "import storage.dispatch")],
    "acyclic": [
        ("market/trading/planted_one.py", "import market.trading.planted_two"),
        ("contracts/planted_one.py", "import contracts.planted_two"),
    ],
    "pure": [
        ("storage/kernel/planted.py", "import sqlalchemy"),
        ("market/trading/rules.py", "import sqlmodel"),
    ],
    "faces": [
        ("market/identity/planted.py", "import fastapi"),
        ("contracts/planted.py", "from starlette.responses import Response"),
        ("metering/planted.py", "import starlette"),
    ],
    "tables-metering": [("market/trading/planted.py", "import metering.tables")],
    "tables-contracts": [("metering/planted.py", "from contracts.tables import License")],
    "door-stripe": [("contracts/planted.py", "import stripe")],
    "door-minio": [("contracts/planted.py", "import minio")],
    "door-celery": [("contracts/planted.py", "import celery"), ("market/web/planted.py", "import kombu")],
    "door-httpcore2": [("metering/gateway/planted.py", "import httpcore2")],
    "door-uvicorn": [("contracts/planted.py", "import uvicorn")],
    "door-alembic": [("contracts/planted.py", "import alembic")],
    "door-duckdb": [("contracts/planted.py", "import duckdb")],
    "door-typst": [("market/web/planted.py", "import typst")],
    "door-yaml": [("market/catalogue/planted.py", "import yaml")],
    "door-argon2": [("market/web/planted.py", "import pwdlib")],
}
TWINS = {
    "market/trading/planted_one.py": ("market/trading/planted_two.py", "import market.trading.planted_one"),
    "contracts/planted_one.py": ("contracts/planted_two.py", "import contracts.planted_one"),
}


def _copy(to: Path) -> Path:
    """The house without what does not matter here; modules that a contract names and nobody wrote yet are empty."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, to / package, ignore=shutil.ignore_patterns("__pycache__", "*.html"))
    shutil.copyfile(ROOT / "pyproject.toml", to / "pyproject.toml")
    for name in _named():
        base = to / name.replace(".", "/")
        if not base.exists() and not base.with_suffix(".py").exists():
            base.parent.mkdir(parents=True, exist_ok=True)
            base.with_suffix(".py").touch()
    return to


def _named() -> set[str]:
    """Every module of ours that the contracts name without a wildcard."""
    named = set()
    for contract in CONTRACTS:
        for container in contract.get("containers", [""]):
            for layer in contract.get("layers", []):
                for tail in re.findall(r"[\w.]+", layer):
                    named.add(f"{container}.{tail}".lstrip("."))
        for key in ("source_modules", "protected_modules", "forbidden_modules", "allowed_importers"):
            named |= set(contract.get(key, []))
    return {name for name in named if name.partition(".")[0] in PACKAGES and "*" not in name}


def _lint(tree: Path) -> tuple[set[str], str]:
    """Names of the broken contracts, and all that was said."""
    program = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [str(program), "--no-cache", "--no-logo"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    verdicts = dict(re.findall(r"^(.+?) (KEPT|BROKEN)(?: \(.*\))?$", run.stdout, re.MULTILINE))
    assert set(verdicts) >= set(NAMES.values()), run.stdout + run.stderr
    return {name for name, verdict in verdicts.items() if verdict == "BROKEN"}, run.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _copy(tmp_path_factory.mktemp("direction"))


def test_the_house_stands_one_way(tree: Path) -> None:
    broken, said = _lint(tree)
    assert not broken, said


def test_every_contract_has_a_plant() -> None:
    assert len(CONTRACTS) >= 12
    assert set(PLANTS) == set(NAMES)


@pytest.mark.parametrize(
    ("contract", "file", "text"),
    [(contract, file, text) for contract, plants in PLANTS.items() for file, text in plants],
)
def test_a_planted_violation_breaks_exactly_its_contract(
    contract: str, file: str, text: str, tree: Path
) -> None:
    kept: dict[Path, str | None] = {}
    for where, what in [(file, text), *([TWINS[file]] if file in TWINS else [])]:
        path = tree / where
        kept[path] = path.read_text(encoding="utf-8") if path.exists() else None
        path.write_text(f"{kept[path] or ''}\n{what}\n", encoding="utf-8")
    try:
        broken, said = _lint(tree)
    finally:
        for path, before in kept.items():
            if before is None:
                path.unlink()
            else:
                path.write_text(before, encoding="utf-8")
    assert broken == {NAMES[contract]}, said
    print(f"{NAMES[contract]} → caught: {file}: {text or 'no place'}")
