"""How a law sees the house: every module of the four packages, and every loaded class of a kind."""

import ast
import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("storage", "contracts", "metering", "market")
T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """One module: its dotted name and its text. A planted one was never on disk."""

    name: str
    text: str
    path: str = "planted.py"

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def at(self, node: ast.AST, complaint: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {complaint}"

    @cached_property
    def imported(self) -> dict[str, str]:
        """Local name → dotted name it stands for, from every import of the module."""
        known = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for item in node.names:
                    known[item.asname or item.name.partition(".")[0]] = (
                        item.name if item.asname else item.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module:
                for item in node.names:
                    known[item.asname or item.name] = f"{node.module}.{item.name}"
        return known

    def dotted(self, node: ast.expr) -> str:
        """`actions.place` as `market.trading.actions.place`; empty for what is no plain name."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, f"{self.name}.{node.id}")
        if isinstance(node, ast.Attribute):
            head = self.dotted(node.value)
            return f"{head}.{node.attr}" if head else ""
        return ""

    @cached_property
    def modules_imported(self) -> set[str]:
        """Every module named in an import, with `from x import y` giving both `x` and `x.y`."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {item.name for item in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{item.name}" for item in node.names)}
        return found


@cache
def sources() -> tuple[Source, ...]:
    """Every module of the four packages; migration scripts, which are generated, are left out."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            relative = path.relative_to(ROOT)
            if "versions" in relative.parts:
                continue
            name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
            found.append(Source(name, path.read_text(encoding="utf-8"), str(relative)))
    assert len(found) >= 80, "the walk sees too little of the house"
    return tuple(found)


def unwritten() -> set[str]:
    """Rooms that the layers name and nobody wrote yet; once all stand, no import may fail."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(each["layers"] for each in contracts["contracts"] if each["id"] == "rooms")
    rooms = {name for layer in layers for name in re.findall(r"\w+", layer)}
    missing = {f"market.{room}" for room in rooms if not any((ROOT / "market").glob(f"{room}*"))}
    if len([*(ROOT / "metering").glob("*.py")]) < 2:
        missing.add("metering")
    return missing


@cache
def load_all() -> tuple[str, ...]:
    """Import every module, so that subclasses and tables can be found. Programs and Alembic's own files stay out."""
    names = []
    for package in PACKAGES:
        root = importlib.import_module(package)
        for item in pkgutil.walk_packages(root.__path__, f"{package}."):
            last = item.name.rpartition(".")[2]
            if last in {"__main__", "env"} or ".versions" in item.name:
                continue
            try:
                importlib.import_module(item.name)
            except ImportError as error:
                if error.name not in unwritten():
                    raise
            else:
                names.append(item.name)
    assert len(names) >= 80
    return tuple(names)


def descendants(kind: type[T]) -> list[type[T]]:
    """Every loaded subclass of `kind` that the four packages define, at any depth."""
    load_all()
    found: dict[str, type[T]] = {}
    waiting = list(kind.__subclasses__())
    while waiting:
        each = waiting.pop()
        waiting.extend(each.__subclasses__())
        if each.__module__.partition(".")[0] in PACKAGES:
            found[f"{each.__module__}.{each.__qualname__}"] = each
    return [found[name] for name in sorted(found)]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def caught(law: str, complaints: list[str]) -> None:
    """A planted violation must be seen; prints what was."""
    assert complaints, f"{law}: the planted violation was not seen"
    print(f"{law} → caught: {complaints[0]}")
