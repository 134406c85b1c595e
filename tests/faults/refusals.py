"""What every refusal must look like, and what a refused request must leave behind: nothing."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa
from sqlmodel import SQLModel

from storage.dispatch import lag
from tests.live import Server

_HAN = re.compile("[\u4e00-\u9fff]")
# What moves by itself: the clock seals, signs and watches usage, and refusals themselves are counted.
_RESTLESS = {
    "document_key",  # made when the clock signs the first head
    "journal_cursor",
    "usage_seal",
    "usage_step",
    "usage_anomaly",
    "refusal_hour",
    "journal_signed_head",
}
_CLOCK = "system:clock"


def refusal(answer: httpx2.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem document of a refused request, complete and in both languages."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.headers
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"/problems/{slug}", body
    assert body["status"] == status
    told = [body["titles"], body["remedy"]]
    told += [body["details"]] if "details" in body else []
    told += [fault["message"] for fault in body.get("errors", [])]
    for words in told:
        assert _HAN.search(words["zh"]), words
        assert words["en"].strip(), words
        assert words["en"] != words["zh"], words
    return body


def rules(body: dict[str, Any]) -> set[tuple[str, str]]:
    """The (field, rule) pairs an `invalid` refusal names."""
    return {(fault["field"], fault["rule"]) for fault in body["errors"]}


def settled(server: Server, seconds: float = 20) -> None:
    """Wait until everything that follows from earlier commits is done."""
    deadline = time.monotonic() + seconds
    while any(lag(server.house.store, server.house.effects).values()):
        assert time.monotonic() < deadline, lag(server.house.store, server.house.effects)
        time.sleep(0.05)


def temporary(server: Server) -> list[Path]:
    """Files of uploads and runs that are on their way."""
    folders = ("incoming", "objects/incoming", "work")
    return [path for name in folders for path in (server.data_dir / name).glob("*")]


def footprint(server: Server) -> dict[str, int]:
    """How many rows every table holds, and how many objects and temporary files there are."""
    tables = [table for table in SQLModel.metadata.sorted_tables if table.name not in _RESTLESS]
    with server.house.database.reading() as connection:
        rows = {table.name: int(connection.execute(_counted(table)).scalar_one()) for table in tables}
    objects = len(list((server.data_dir / "objects").glob("??/*")))
    return rows | {"(objects)": objects, "(temporary files)": len(temporary(server))}


def _counted(table: sa.Table) -> sa.Select[int]:
    count = sa.select(sa.func.count()).select_from(table)
    if table.name != "journal_entry":
        return count
    return count.where(table.c.actor != _CLOCK, table.c.kind != "document_key.made")


@contextmanager
def untouched(server: Server) -> Iterator[None]:
    """Whatever happens inside changes no table, keeps no object and leaves no temporary file."""
    settled(server)
    before = footprint(server)
    yield
    settled(server)
    after = footprint(server)
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert not changed, changed
