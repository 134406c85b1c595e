"""A Unit opens only after all slow work: the slow doors refuse inside one."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from market.identity import passwords
from storage.objects import Objects, keep, open_objects
from storage.unit import SlowInsideUnit, Store
from tests.house.tree import Source, caught, functions, sources

# What takes milliseconds or waits for another machine. Whoever imports it is a slow door.
SLOW = {
    "boto3",
    "duckdb",
    "httpx2",
    "minio",
    "openpyxl",
    "pwdlib",
    "pyhanko",
    "smtplib",
    "stripe",
    "subprocess",
    "typst",
    "urllib.request",
}
# Importers that are no doors.
NO_DOORS = {
    "market.cli": "starts programs before any Unit",
}


def quiet_doors(source: Source) -> list[str]:
    """A module that reaches for something slow and never says so."""
    vendors = sorted(source.modules_imported & SLOW)
    if not vendors or source.name in NO_DOORS:
        return []
    calls = {source.dotted(node.func) for node in ast.walk(source.tree) if isinstance(node, ast.Call)}
    if "storage.unit.slow" in calls:
        return []
    return [source.at(source.tree, f"uses {', '.join(vendors)} and never calls storage.unit.slow")]


def quiet_methods(source: Source) -> list[str]:
    """Public methods of an object store that do not say they are slow, themselves or through another method."""
    complaints = []
    for store in [node for node in source.tree.body if isinstance(node, ast.ClassDef)]:
        methods = {function.name: function for function in functions(store)}
        if "put_file" not in methods or any(source.dotted(base).endswith("Protocol") for base in store.bases):
            continue
        said = {name for name, method in methods.items() if _says_slow(source, method)}
        while more := {name for name, method in methods.items() if _own_calls(method) & said} - said:
            said |= more
        complaints += [
            source.at(methods[name], f"{store.name}.{name} never calls slow")
            for name in sorted(set(methods) - said)
            if not name.startswith("_") and name != "local_path"
        ]
    return complaints


def _says_slow(source: Source, function: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Call) and source.dotted(node.func) == "storage.unit.slow"
        for node in ast.walk(function)
    )


def _own_calls(function: ast.AST) -> set[str]:
    return {
        node.func.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "self"
    }


def test_every_slow_door_says_so() -> None:
    assert [complaint for source in sources() for complaint in quiet_doors(source)] == []
    assert sum(bool(source.modules_imported & SLOW) for source in sources()) >= 4


def test_every_method_of_an_object_store_says_so() -> None:
    stores = [source for source in sources() if source.name.startswith("storage.objects")]
    assert len(stores) == 2
    assert [complaint for source in stores for complaint in quiet_methods(source)] == []


def test_a_quiet_door_is_caught() -> None:
    caught("slow doors say so", quiet_doors(Source("market.planted", "import typst\ntypst.compile('a')\n")))
    store = "class Disk:\n    def put_file(self, path): ...\n    def delete(self, key): ...\n"
    caught("slow doors say so", quiet_methods(Source("storage.objects_planted", store)))


@pytest.mark.parametrize(
    "work",
    [
        lambda objects: objects.put_bytes(b"x"),
        lambda objects: objects.exists("0" * 64),
        lambda _: passwords.hash_password("a long enough pass"),
        lambda _: passwords.password_matches("a long enough pass", None),
    ],
    ids=["put", "exists", "hash", "compare"],
)
def test_slow_work_inside_a_unit_is_refused(
    work: Callable[[Objects], object], store: Store, tmp_path: Path
) -> None:
    objects = open_objects(f"file://{tmp_path}/objects")
    with pytest.raises(SlowInsideUnit), store.unit("system:test"):
        work(objects)
    work(objects)


def test_what_is_kept_is_noted_inside_the_unit(store: Store, tmp_path: Path) -> None:
    stored = open_objects(f"file://{tmp_path}/objects").put_bytes(b"x")
    with store.unit("system:test") as unit:
        keep(unit, stored)
        unit.record("thing.kept", "thing:1", sha256=stored.sha256)
