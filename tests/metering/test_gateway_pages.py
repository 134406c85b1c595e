"""Pages of rows: formats, counts, entity tags, made once at a time, slow ones apart."""

import asyncio
import csv
import io
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import pysqlite3
import pytest
from arro3.io import read_ipc_stream
from hypothesis import given
from hypothesis import strategies as st

from contracts.terms import Tier
from metering import actions
from metering.gateway.pages import PageDesk, Question, Ready
from metering.gateway.parameters import pairs
from metering.gateway.plane import Plane
from metering.problems import QueriesBusy, QueryTooSlow
from metering.settings import MeteringSettings
from metering.shelf import goods_of
from storage.kernel.problem import Invalid
from storage.objects import LocalObjects
from storage.unit import Store
from tests.metering.gatehouse import ROWS, Served
from tests.metering.shelf import BARE, SomePrice

PAID = "/data/v1/product-1/rows"
OPEN = "/open/v1/product-open/rows"


@pytest.mark.parametrize("by_header", [False, True])
def test_rows_in_every_format_are_charged_alike(served: Served, by_header: bool) -> None:
    headers, query = served.bearer(), "limit=7&count=exact&编号=le.200"
    media = {
        "json": "application/json",
        "ndjson": "application/x-ndjson; charset=utf-8",
        "csv": "text/csv; charset=utf-8",
        "arrow": "application/vnd.apache.arrow.stream",
    }
    read: dict[str, Callable[[bytes], list[int]]] = {
        "json": lambda body: [row["编号"] for row in json.loads(body)["rows"]],
        "ndjson": lambda body: [json.loads(line)["编号"] for line in body.splitlines()],
        "csv": lambda body: [int(row["编号"]) for row in csv.DictReader(io.StringIO(body.decode()))],
        "arrow": lambda body: [
            int(n) for n in read_ipc_stream(io.BytesIO(body)).read_all().column("编号").to_pylist()
        ],
    }
    tags = set()
    for form, kind in media.items():
        asked = f"{PAID}?{query}" + ("" if by_header else f"&format={form}")
        accept = {"Accept": f"text/html, {kind.split(';')[0]};q=0.9"} if by_header else {}
        answer = served.http.get(asked, headers=headers | accept)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert read[form](answer.content) == list(range(1, 8))
        assert answer.headers["x-total-count"] == "200"
        assert answer.headers["x-charge-id"].startswith("chg_")
        assert answer.headers["ratelimit-policy"] == '"calls";q=6000;w=6'
        assert answer.headers["ratelimit"].startswith('"calls";r=')
        assert answer.headers["cache-control"] == "private, no-cache"
        tags.add(answer.headers["etag"])
        following = served.http.get(
            f"{asked}&cursor={answer.headers['x-next-cursor']}", headers=headers | accept
        )
        assert read[form](following.content) == list(range(8, 15))
    assert len(tags) == len(media)
    assert {(event.calls, event.rows) for event in served.events()} == {(1, 7)}
    assert len(served.events()) == 8


def test_counting_alone_is_a_call(served: Served) -> None:
    answer = served.http.get(f"{PAID}?limit=0&count=exact&温度=ge.50", headers=served.bearer())
    assert answer.json() == {"version": 1, "rows": [], "next": None, "count": ROWS - 199}
    indexed = served.http.get(f"{PAID}?limit=0&count=exact&名称=eq.站点3", headers=served.bearer())
    assert indexed.json()["count"] == sum(1 for n in range(1, ROWS + 1) if n % 7 == 3 and n % 50)
    assert served.http.get(f"{PAID}?limit=0", headers=served.bearer()).json()["rows"] == []
    assert [(event.calls, event.rows, event.amount_fen) for event in served.events()] == [(1, 0, 3)] * 3
    served.open_gate("lic_hits", price=SomePrice(call_fen=7, per_hit=True))
    hits = served.bearer("lic_hits")
    for query in ("limit=0&count=exact&编号=eq.1", "limit=0&编号=eq.1", "limit=1&编号=eq.9999"):
        assert served.http.get(f"{PAID}?{query}", headers=hits).status_code == 200
    # Who only counts learns what there is; only who asks for rows and finds none does not pay.
    assert sorted(event.amount_fen for event in served.events() if event.license_id == "lic_hits") == [
        0,
        7,
        7,
    ]
    refused = served.http.get(f"{PAID}?count=about", headers=served.bearer())
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "count")


def test_what_the_caller_has_costs_nothing_while_the_license_is_in_force(served: Served) -> None:
    headers = served.bearer()
    first = served.http.get(f"{PAID}?limit=3&名称=eq.站点3&编号=gt.1", headers=headers)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    same = served.http.get(
        f"{PAID}?编号=gt.1&名称=eq.站点3&limit=3", headers=headers | {"If-None-Match": f'"x", W/{tag}'}
    )
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert "x-charge-id" not in same.headers
    head = served.http.head(f"{PAID}?limit=3&名称=eq.站点3&编号=gt.1", headers=headers)
    assert (head.status_code, head.headers["etag"]) == (200, tag)
    assert len(served.events()) == 1
    for other in (
        "limit=4&名称=eq.站点3&编号=gt.1",
        "limit=3&名称=eq.站点3&编号=gt.2",
        "limit=3&名称=eq.站点3&编号=gt.1&format=csv",
    ):
        assert served.http.get(f"{PAID}?{other}", headers=headers | {"If-None-Match": tag}).status_code == 200
    with served.store.unit("system:test") as unit:
        actions.shut_gate(unit, "lic_1", reason="revoked")
    refused = served.http.get(
        f"{PAID}?limit=3&名称=eq.站点3&编号=gt.1", headers=headers | {"If-None-Match": tag}
    )
    assert (refused.status_code, refused.json()["reason"]) == (403, "revoked")


def test_open_pages_may_be_kept_by_anybody(served: Served) -> None:
    first = served.http.get(f"{OPEN}?limit=3")
    assert first.headers["cache-control"] == "public, no-cache"
    again = served.http.get(f"{OPEN}?limit=3", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, "public, no-cache")


def test_a_hot_page_needs_no_file(served: Served, objects: LocalObjects, manifest: dict[str, Any]) -> None:
    first = served.http.get(f"{OPEN}?limit=3")
    assert served.gateway.plane is not None
    objects.delete(manifest["files"]["serving"]["sha256"])
    served.gateway.plane.copies.close()
    hot = served.http.get(f"{OPEN}?limit=3")
    assert (hot.status_code, hot.content) == (200, first.content)
    cold = served.http.get(f"{OPEN}?limit=4")
    assert (cold.status_code, cold.json()["type"]) == (503, "/problems/unavailable")


LONG = 400_000


@pytest.fixture
def long_manifest(objects: LocalObjects, tmp_path: Path) -> dict[str, Any]:
    """Many rows; 名称 is indexed, 温度 is not."""
    path = tmp_path / "long.db"
    lite = pysqlite3.connect(path, isolation_level=None)
    lite.execute('CREATE TABLE data (_row INTEGER PRIMARY KEY, "名称" TEXT, "温度" REAL)')
    lite.execute(
        "CREATE TABLE columns (position INTEGER PRIMARY KEY, name TEXT, kind TEXT, precision INTEGER, "
        "scale INTEGER, filter TEXT)"
    )
    lite.executemany(
        "INSERT INTO columns VALUES (?,?,?,NULL,NULL,?)",
        [(0, "名称", "text", "名称"), (1, "温度", "double", "温度")],
    )
    lite.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) "
        "INSERT INTO data SELECT i, '站点' || i, (i * 7919 % 100003) / 4.0 FROM n",
        (LONG,),
    )
    lite.execute('CREATE INDEX data_0 ON data ("名称")')
    lite.close()
    stored = objects.put_file(path)
    columns = [{"name": "名称", "type": "text"}, {"name": "温度", "type": "double"}]
    files = {"serving": {"sha256": stored.sha256, "size": stored.size, "name": "serving.db"}}
    return {**BARE, "rows": LONG, "columns": columns, "query_columns": ["名称"], "files": files}


Ask = Callable[[str], Awaitable[Question]]
LongDesk = Callable[..., AbstractAsyncContextManager[tuple[PageDesk, Ask]]]


@pytest.fixture
def long_desk(
    store: Store,
    objects: LocalObjects,
    settings: MeteringSettings,
    long_manifest: dict[str, Any],
    shelve: Callable[..., None],
    tmp_path: Path,
) -> LongDesk:
    """Opens a desk, with these settings changed, and a way to ask it for open rows."""
    shelve(long_manifest, product_id="prd_long", tier="public_good")

    @asynccontextmanager
    async def opened(**changed: int) -> AsyncIterator[tuple[PageDesk, Ask]]:
        plane = Plane(
            store,
            objects,
            settings.model_copy(update=changed),
            public_url="http://h",
            zone="Asia/Shanghai",
            folder=tmp_path / "copies",
        )
        desk = PageDesk(plane)

        async def ask(query: str) -> Question:
            item = plane.shelf.item("product-long", Tier.PUBLIC_GOOD)
            return await desk.question(quote(query, safe="=&").encode(), "", goods_of(item))

        try:
            yield desk, ask
        finally:
            await asyncio.to_thread(plane.close)

    return opened


def test_many_who_ask_for_one_page_wait_for_one_query(long_desk: LongDesk) -> None:
    async def run() -> None:
        async with long_desk(page_cache_bytes=0) as (desk, ask):
            question = await ask("order=温度&limit=5")
            pages = await asyncio.gather(*(desk.page(question) for _ in range(30)))
            assert len({id(page) for page in pages}) == 1
            assert await desk.page(question) is not pages[0]  # nothing was kept

    asyncio.run(run())


def test_a_crowd_before_a_cold_gateway_waits_for_one_copy(long_desk: LongDesk) -> None:
    async def run() -> None:
        async with long_desk(slow_queries=1, slow_queue=1) as (desk, ask):
            asked = await asyncio.gather(*(ask(f"名称=eq.站点{n}") for n in range(1, 40)))
            pages = await asyncio.gather(*(desk.page(question) for question in asked))
            assert [page.rows for page in pages] == [1] * len(asked)

    asyncio.run(run())


def test_slow_queries_are_refused_in_time_and_never_stall_light_ones(long_desk: LongDesk) -> None:
    enough = threading.Event()

    async def run() -> None:
        async with long_desk(query_ms=2, slow_queries=1, slow_queue=4) as (desk, ask):
            slow = [await ask(f"温度=gt.{n}&order=温度") for n in range(12)]
            light = [await ask(f"名称=eq.站点{n}") for n in range(1, 40)]
            # While this one thinks, no place becomes free.
            first = asyncio.create_task(desk._plane.in_slow_thread(enough.wait, 30))
            tasks = [asyncio.create_task(desk.page(question)) for question in slow]
            pages = await asyncio.gather(*(desk.page(question) for question in light))
            assert [page.rows for page in pages] == [1] * len(light)
            for early in islice(asyncio.as_completed(tasks, timeout=30), 8):
                with pytest.raises(QueriesBusy):
                    await early
            enough.set()
            assert await first
            refusals = await asyncio.gather(*tasks, return_exceptions=True)
            kinds = [type(refusal) for refusal in refusals]
            assert (kinds.count(QueryTooSlow), kinds.count(QueriesBusy)) == (4, 8)
            told = next(refusal for refusal in refusals if isinstance(refusal, QueryTooSlow))
            assert (told.status, "query_columns" in told.document("en")["remedy"]["en"]) == (422, True)

    asyncio.run(run())


@given(st.text("ab%=&+;号 41", max_size=20))
def test_a_query_string_is_read_as_forms_are(text: str) -> None:
    try:
        read = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        read = None
    if read is not None and text.isascii():
        assert pairs(text.encode()) == read
    else:
        with pytest.raises(Invalid):
            pairs(text.encode())


def header(page: Ready, name: str) -> str:
    """One header of a page."""
    return dict(line.split(": ") for line in page.head.decode().splitlines())[name]


def test_an_index_that_narrows_too_little_goes_to_the_slow_ones(long_desk: LongDesk) -> None:
    async def run() -> None:
        async with long_desk(light_query_ms=1, page_bytes=1024) as (desk, ask):
            page = await desk.page(await ask("名称=ge.站&order=温度&limit=3&count=exact"))
            assert (page.rows, header(page, "x-total-count")) == (3, str(LONG))
            long = await desk.page(await ask("limit=1000"))
            assert 0 < long.rows < 1000  # ended early at about a kilobyte of text
            rest = await desk.page(await ask(f"limit=1000&cursor={header(long, 'x-next-cursor')}"))
            assert json.loads(rest.body)["rows"][0]["名称"] == f"站点{long.rows + 1}"

    asyncio.run(run())


def test_a_few_rows_by_an_index_are_at_hand_and_a_long_search_is_not(long_desk: LongDesk) -> None:
    async def run() -> None:
        async with long_desk() as (desk, ask):
            light = await ask("名称=eq.站点7")
            made = desk.page_at_hand(light)
            assert made is not None
            assert made is await desk.page(light)
            for query in (
                "名称=ge.站&order=温度&limit=3",
                "名称=ge.点&order=温度&limit=3",
            ):  # the second is its like
                assert desk.page_at_hand(await ask(query)) is None
            for query in ("温度=gt.3", "limit=101", "名称=eq.站点7&count=exact"):
                assert desk.page_at_hand(await ask(query)) is None

    asyncio.run(run())
