"""Every public verb of every `actions.py` records an entry; every row is made by its own room."""

import ast

from storage.columns import Mechanism
from tests.house.tree import PACKAGES, Source, caught, descendants, functions, sources

# A verb that writes mechanism only (a mail waiting to be sent): the Unit that caused it explains it.
SILENT = {"market.identity.actions.send_mail": "queues a mail; the row explains itself"}


def _takes_unit(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = function.args.args[0] if function.args.args else None
    note = first.annotation if first else None
    return isinstance(note, ast.Name) and note.id == "Unit"


def _calls(source: Source, function: ast.AST) -> tuple[bool, set[str]]:
    """Whether `unit.record` is called in here, and the dotted names of the functions that are handed the unit."""
    records, handed = False, set()
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr == "record":
            records = records or (isinstance(node.func.value, ast.Name) and node.func.value.id == "unit")
        if any(isinstance(argument, ast.Name) and argument.id == "unit" for argument in node.args):
            handed.add(source.dotted(node.func))
    return records, handed


def recorders(all_sources: tuple[Source, ...]) -> set[str]:
    """Dotted names of the functions that record, themselves or through one they hand the unit to."""
    graph = {}
    for source in all_sources:
        for node in source.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                graph[f"{source.name}.{node.name}"] = _calls(source, node)
    known = {name for name, (records, _) in graph.items() if records}
    while more := {name for name, (_, handed) in graph.items() if handed & known} - known:
        known |= more
    return known


def _changes(function: ast.AST) -> bool:
    """Whether rows are added, deleted, written by a statement or given another value in here."""
    for node in ast.walk(function):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="add" | "add_all" | "delete" | "merge" | "execute", value=owner)
            ):
                if isinstance(owner, ast.Attribute) and owner.attr == "session":
                    return True
            case ast.Assign(targets=targets) if any(
                isinstance(target, ast.Attribute | ast.Tuple) for target in targets
            ):
                if any(isinstance(inner, ast.Attribute) for target in targets for inner in ast.walk(target)):
                    return True
            case ast.AugAssign(target=ast.Attribute()):
                return True
    return False


def silent_verbs(all_sources: tuple[Source, ...]) -> tuple[list[str], int]:
    """Public verbs that change something and explain nothing, and how many verbs were looked at.

    One that only reads and locks for its siblings has nothing to explain.
    """
    known = recorders(all_sources)
    complaints, seen = [], 0
    for source in all_sources:
        if source.name.rpartition(".")[2] != "actions":
            continue
        for node in source.tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            if _takes_unit(node):
                seen += 1
                name = f"{source.name}.{node.name}"
                if name not in known and name not in SILENT and _changes(node):
                    complaints.append(source.at(node, f"{node.name} records no entry"))
    return complaints, seen


def test_every_verb_records_an_entry() -> None:
    complaints, seen = silent_verbs(sources())
    assert complaints == []
    assert seen >= 40
    assert not set(SILENT) & recorders(sources()), "these record now: take them off the list"


def test_a_silent_verb_is_caught() -> None:
    planted = Source(
        "market.planted.actions",
        "from storage.unit import Unit\n"
        "def _explain(unit: Unit) -> None:\n    unit.record('a.b', 'a:1')\n"
        "def loud(unit: Unit) -> None:\n    _explain(unit)\n"
        "def silent(unit: Unit) -> None:\n    unit.session.add(1)\n"
        "def sly(unit: Unit, row: Row) -> None:\n    row.state, row.reason = 'ended', ''\n"
        "def reader(unit: Unit) -> int:\n    return unit.session.exec(1)\n",
    )
    complaints, seen = silent_verbs((planted,))
    assert seen == 4
    assert [complaint.split()[1] for complaint in complaints] == ["silent", "sly"]
    caught("every verb records an entry", complaints)


# ------------------------------------------------------------------ a room's rows are its own


def _room(dotted: str) -> str:
    """`market.trading` of `market.trading.tables.Order`; a lower package is one room."""
    parts = dotted.split(".")
    return ".".join(parts[:2]) if parts[0] == "market" else parts[0]


# What stands above the rooms composes their verbs and reads, and never speaks to the database itself.
ABOVE = {
    f"market.{name}"
    for name in ("api", "app", "chores", "cli", "demo", "house", "http", "interop", "web", "wiring", "worker")
}


def foreign_rows(source: Source) -> list[str]:
    """Rows of another room made, or written by a statement, here; and faces that touch a session."""
    complaints = []
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        name = source.dotted(node.func)
        if ".tables." in name and _room(name) != _room(source.name) and name.split(".")[0] in PACKAGES:
            complaints.append(source.at(node, f"makes a row of another room: {name}"))
        if name.rpartition(".")[2] in {"insert", "update", "delete"} and node.args:
            target = source.dotted(node.args[0])
            if ".tables." in target and _room(target) != _room(source.name):
                complaints.append(source.at(node, f"writes rows of another room: {target}"))
    if _room(source.name) in ABOVE:
        complaints += [
            source.at(node, "a session is touched above the rooms; call an action or a query")
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Attribute)
            and node.attr == "session"
            and isinstance(node.value, ast.Name)
            and node.value.id in {"unit", "view"}
        ]
    return complaints


def test_a_rooms_rows_are_made_by_the_room() -> None:
    assert [complaint for source in sources() for complaint in foreign_rows(source)] == []
    assert sum(".tables" in module for source in sources() for module in source.modules_imported) >= 20


def test_writing_anothers_rows_is_caught() -> None:
    made = "from market.identity.tables import Party\ndef place() -> None:\n    Party(id='x')\n"
    caught("a room's rows are its own", foreign_rows(Source("market.trading.actions", made)))
    swept = "import sqlalchemy as sa\nfrom market.identity import tables\nsa.delete(tables.Party)\n"
    caught("a room's rows are its own", foreign_rows(Source("market.trading.actions", swept)))
    peeking = "def show(view):\n    return view.session.exec(1)\n"
    caught("faces call, never query", foreign_rows(Source("market.api.orders", peeking)))
    assert foreign_rows(Source("market.identity.actions", made)) == []


def test_mechanism_is_small() -> None:
    assert 1 <= len([kind for kind in descendants(Mechanism) if kind is not Mechanism]) <= 30


def test_no_two_functions_of_an_actions_file_share_a_name() -> None:
    for source in sources():
        if source.name.endswith(".actions"):
            names = [function.name for function in functions(source.tree)]
            assert len(names) == len(set(names)), source.name
