"""Run the comparisons and print their table: `python -m benchmarks [calls files ingest question]`."""

import argparse
import itertools
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import books, calls, files
from benchmarks.figures import Figure, markdown
from benchmarks.stage import Goods, Shelf, scratch
from tests import servers

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
_ALL = ("calls", "files", "ingest", "question")


def main() -> int:
    """Returns 0 when every goal is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", default=_ALL, help=f"of {', '.join(_ALL)}")
    parser.add_argument("--turns", type=int, default=11)
    parser.add_argument(
        "--seconds", type=int, default=2, help="of load, each turn: a shared machine slows down for seconds"
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=50_000_000)
    parser.add_argument("--databases", default="sqlite,postgres")
    parser.add_argument("--write", action="store_true", help="keep the table in the README")
    asked = parser.parse_args()
    folder = scratch()
    goods = Goods(folder, asked.rows)
    os.sync()  # what was made is on the disk before anybody's commits wait for it
    figures: list[Figure] = []
    # Fifty million events leave the disk busy for a while: they come last.
    parts = [
        [what for what in asked.what if what != "question"],
        [what for what in asked.what if what == "question"],
    ]
    for part, database in itertools.product(filter(None, parts), asked.databases.split(",")):
        with _shelf(folder, database, goods) as shelf:
            for what in part:
                for figure in _measured(what, shelf, database, asked):
                    figures.append(figure)
                    print(" | ".join(figure.cells()), flush=True)
    table = markdown(figures)
    print(f"\n{table}\n")
    if asked.write:
        _write(table)
    return 0 if all(figure.met for figure in figures) else 1


def _measured(what: str, shelf: Shelf, database: str, asked: argparse.Namespace) -> list[Figure]:
    name = {"sqlite": "SQLite", "postgres": "PostgreSQL"}[database]
    if what == "calls":
        return calls.measure(shelf, name, asked.turns, asked.seconds)
    if what == "files":
        return files.measure(shelf, asked.turns, asked.seconds) if database == "sqlite" else []
    if what == "ingest":
        return [books.measure_ingest(shelf, name, asked.turns, 100)]
    return [books.measure_question(shelf, name, asked.turns, asked.events, 50_000)]


@contextmanager
def _shelf(folder: Path, database: str, goods: Goods) -> Iterator[Shelf]:
    place = Path(tempfile.mkdtemp(prefix=f"{database}-", dir=folder))
    url = f"sqlite:///{place}/market.db" if database == "sqlite" else servers.start_postgres(durable=True)
    shelf = Shelf(place, url, goods, licenses=16)
    try:
        yield shelf
    finally:
        shelf.database.close()


def _write(table: str) -> None:
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    machine = f"Python {platform.python_version()}, two cores"
    README.write_text(f"{before}{BEGIN}\n{machine}\n\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
