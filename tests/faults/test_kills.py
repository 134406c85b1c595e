"""The server killed with SIGKILL at bad moments: after the restart nothing is lost, doubled or half done."""

import hashlib
import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from sqlmodel import select

from contracts.tables import License
from market.billing.reconcile import differences
from market.billing.tables import AccountBalance
from market.refinery.tables import LineageEdge
from metering.queries import events_of_period, gate, uncounted
from metering.tables import Gate
from storage import journal
from storage.kernel import clock
from storage.kernel.ids import new_id
from tests.faults import goods
from tests.faults.processes import alive, child_with
from tests.faults.refusals import settled, temporary
from tests.faults.wire import begin_upload, eventually
from tests.journeys.actors import ASSET, Cast, bought
from tests.live import Server, live_server

LOTS, CALL_FEN, DOWNLOAD_FEN = 40_000, 2, 300
SLUG = "parking-killed"


class Market:
    """A market whose server gets killed, with one large commercial product on its shelf."""

    def __init__(self, server: Server, cast: Cast) -> None:
        self.server, self.cast = server, cast
        price = {"call_fen": CALL_FEN, "download_fen": DOWNLOAD_FEN}
        self.content = goods.parking(LOTS, width=500)
        self.product, self.plan = goods.commercial(cast, SLUG, self.content, price)

    def kill_and_restart(self) -> None:
        self.server.kill()
        self.server.start()

    def sound(self) -> None:
        """Whatever happened, the books agree and the journal verifies."""
        settled(self.server)
        verdict = journal.verify_stored(self.server.house.store)
        assert verdict.ok, verdict
        with self.server.house.store.view() as view:
            assert differences(view) == []
            balances = [row.balance_fen for row in view.session.exec(select(AccountBalance))]
            assert sum(balances) == 0
            for license_id in view.session.exec(select(Gate.license_id)).all():
                assert uncounted(view, license_id) == {}
        assert temporary(self.server) == []
        assert "server fault" not in self.server.log(), self.server.log()[-4000:]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with live_server(tmp_path_factory.mktemp("kills")) as server, closing(Cast(server)) as cast:
        yield Market(server, cast)


def test_killed_during_an_upload(market: Market) -> None:
    provider, server = market.cast.provider, market.server
    asset, _file = draft_with_file(market, "upload", goods.parking(30))
    path = f"/assets/{asset}/files"
    with begin_upload(server, provider, path, declared=64 << 20, content=b"a,b\n" + b"1,2\n" * (1 << 20)):
        eventually(lambda: any(part.stat().st_size > 1 << 20 for part in temporary(server)))
        market.kill_and_restart()
    assert temporary(server) == []
    assert len(provider.get(path)) == 1
    assert provider.upload(path, "again.csv", goods.parking(31))["rows"] == 31
    market.sound()


def draft_with_file(market: Market, code: str, content: bytes) -> tuple[str, str]:
    """An asset not yet submitted, with one file. Returns both ids."""
    asset = market.cast.provider.post("/assets", ASSET | {"code": f"370200-{code}"}, status=201)["id"]
    return asset, market.cast.provider.upload(f"/assets/{asset}/files", "lots.csv", content)["id"]


def child_of(server: Server) -> int | None:
    """The process that cleanses for this server."""
    return child_with(server.process.pid, "market.refinery.child")


def at_once(server: Server) -> bool:
    return child_of(server) is not None


def at_work(server: Server) -> bool:
    return any((server.data_dir / "work").glob("*/taken.parquet"))


@pytest.mark.parametrize("moment", [at_once, at_work])
def test_killed_during_cleansing(market: Market, moment: Callable[[Server], bool]) -> None:
    """The child ends with its parent; the run is queued again, succeeds, and left nothing of its first try."""
    provider, server = market.cast.provider, market.server
    content = goods.parking(LOTS + 1 + (moment is at_work), width=200)
    asset, file = goods.asset_with_file(market.cast, moment.__name__, content)
    settled(server)  # the certificate of the registration is printed a moment later
    objects = {path.name for path in (server.data_dir / "objects").glob("??/*")}
    form = {"file_id": file["id"], "recipe": {"steps": [{"step": "dedupe"}]}, "indexes": ["lot"]}
    run = provider.post(f"/assets/{asset}/runs", form, status=202)
    eventually(lambda: moment(server), 60)
    child = child_of(server)
    assert child is not None
    if moment is at_work:
        os.kill(child, signal.SIGSTOP)  # it cannot end by finishing, only by being killed
    server.kill()
    eventually(lambda: not alive(child), 10)
    assert {path.name for path in (server.data_dir / "objects").glob("??/*")} == objects
    server.start()
    eventually(lambda: provider.get(f"/runs/{run['id']}")["state"] in {"succeeded", "failed"}, 120)
    run = provider.get(f"/runs/{run['id']}")
    assert (run["state"], run["attempt"]) == ("succeeded", 2), run
    assert run["output_rows"] == content.count(b"\n") - 1
    made = {output["sha256"] for output in run["outputs"]}
    assert len(made) == 3
    assert {path.name for path in (server.data_dir / "objects").glob("??/*")} == objects | made
    with server.house.store.view() as view:
        edges = view.session.exec(select(LineageEdge.to_hash).where(LineageEdge.run_id == run["id"])).all()
    assert sorted(edges) == sorted(made)
    market.sound()


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.05, 0.2])
def test_killed_between_payment_and_activation(market: Market, delay: float) -> None:
    """Once the confirmation was answered, the license comes: once, with the money credited once."""
    cast, server = market.cast, market.server
    before = cast.buyer.get("/balance")["prepaid_fen"]
    order = cast.buyer.post(
        "/orders", goods.order_form(market.product, market.plan, prepay_fen=5_000), status=201
    )
    cast.approver.post(f"/cases/{order['case_id']}/decision", {"approve": True, "reason": "用途明确，同意"})
    text = cast.buyer.get(f"/orders/{order['id']}/contract")
    order = cast.buyer.post(f"/orders/{order['id']}/acceptance", {"content_hash": text["content_hash"]})
    receipt = {"amount_fen": order["due_fen"], "bank_reference": f"BANK{uuid.uuid4().hex[:12]}"}
    cast.finance.post(f"/payments/{order['payment_id']}/receipt", receipt)
    key = str(uuid.uuid4())
    confirmed = cast.finance2.post(f"/payments/{order['payment_id']}/confirmation", key=key)
    time.sleep(delay)
    market.kill_and_restart()
    assert cast.finance2.post(f"/payments/{order['payment_id']}/confirmation", key=key) == confirmed
    eventually(lambda: cast.buyer.get(f"/orders/{order['id']}")["state"] == "active", 30)
    order = cast.buyer.get(f"/orders/{order['id']}")
    with server.house.store.view() as view:
        held = view.session.exec(select(License).where(License.contract_id == order["contract_id"])).all()
        assert [(row.id, row.state) for row in held] == [(order["license_id"], "active")]
        assert gate(view, order["license_id"]).in_force
    assert cast.buyer.get("/balance")["prepaid_fen"] == before + 5_000
    market.sound()


def test_killed_during_a_download(market: Market) -> None:
    """The same ticket gives the rest of the same bytes, and the whole is billed once."""
    server = market.server
    order = bought(market.cast, market.product, market.plan, prepay_fen=5_000)
    token, program = goods.program(server, market.cast, order["license_id"])
    manifest = market.cast.buyer.get(f"/products/{SLUG}")["versions"][0]["files"]["csv"]
    assert manifest["size"] > 16 << 20
    with program:
        ticket = program.post(
            f"/data/v1/{SLUG}/downloads", json={"file": "csv"}, headers=goods.fresh_key()
        ).json()
        got = bytearray()
        with pytest.raises(httpx2.TransportError), program.stream("GET", ticket["url"]) as answer:
            assert answer.status_code == 200
            for part in answer.iter_raw():
                got += part
                if len(got) > 1 << 20 and server.process.poll() is None:
                    server.kill()
    assert 1 << 20 < len(got) < manifest["size"]
    server.start()
    with goods.bearer(server, token) as program:
        rest = program.get(ticket["url"], headers={"Range": f"bytes={len(got)}-"})
    assert rest.status_code == 206, rest.text
    assert hashlib.sha256(bytes(got) + rest.content).hexdigest() == manifest["sha256"]
    assert rest.headers["x-charge-id"] == ticket["charge_id"]
    with server.house.store.view() as view:
        door = gate(view, order["license_id"])
        assert (door.used_downloads, door.spent_fen) == (1, DOWNLOAD_FEN)
        assert len(list(events_of_period(view, order["license_id"], f"{clock.now():%Y-%m}"))) == 1
    market.sound()


class Pager:
    """A client that reads every row and writes down each answer it gets; it repeats what it got no answer to."""

    def __init__(self, server: Server, token: str, slug: str) -> None:
        self.server, self.slug = server, slug
        self.program = goods.bearer(server, token)
        self.charges: list[str] = []
        self.lots: list[int] = []
        self.repeated = 0
        self.done = threading.Event()

    def run(self) -> None:
        cursor, first = None, True
        while first or cursor:
            page = self._ask({"limit": "200"} | ({"cursor": cursor} if cursor else {}))
            self.lots += [row["lot"] for row in page["rows"]]
            cursor, first = page["next"], False
        self.program.close()
        self.done.set()

    def beyond(self, answers: int) -> bool:
        return len(self.charges) > answers or self.done.is_set()

    def _ask(self, query: dict[str, str]) -> Any:
        key = goods.fresh_key()
        while True:
            try:
                answer = self.program.get(f"/data/v1/{self.slug}/rows", params=query, headers=key)
            except httpx2.TransportError:
                self.repeated += 1
                time.sleep(0.1)
                continue
            if answer.status_code == 503:
                time.sleep(0.1)
                continue
            assert answer.status_code == 200, answer.text
            self.charges.append(answer.headers["X-Charge-Id"])
            return answer.json()


@pytest.fixture(scope="module")
def postgres_market(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Market]:
    name = new_id("kills")
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    engine.dispose()
    url = sa.make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    folder = tmp_path_factory.mktemp("kills-postgres")
    with live_server(folder, STORAGE__DATABASE_URL=url) as server, closing(Cast(server)) as cast:
        yield Market(server, cast)


@pytest.mark.parametrize("where", ["market", pytest.param("postgres_market", marks=pytest.mark.postgres)])
def test_killed_during_a_page_run(where: str, request: pytest.FixtureRequest) -> None:
    """Every answer that arrived is an event, no event is without an answer, and the gate counts them all."""
    market: Market = request.getfixturevalue(where)
    order = bought(market.cast, market.product, market.plan, prepay_fen=5_000)
    token, program = goods.program(market.server, market.cast, order["license_id"])
    program.close()
    pager = Pager(market.server, token, SLUG)
    thread = threading.Thread(target=pager.run, daemon=True)
    thread.start()
    dice = random.Random(20261122)
    for _kill in range(3):
        enough = len(pager.charges) + 5
        eventually(partial(pager.beyond, enough), 60)
        time.sleep(dice.uniform(0, 0.05))
        market.kill_and_restart()
    assert pager.done.wait(120), len(pager.charges)
    assert pager.repeated
    assert pager.lots == list(range(1, LOTS + 1))
    assert len(set(pager.charges)) == len(pager.charges) == LOTS // 200
    with market.server.house.store.view() as view:
        events = list(events_of_period(view, order["license_id"], f"{clock.now():%Y-%m}"))
        door = gate(view, order["license_id"])
    assert {f"chg_{event.id.hex()}" for event in events} == set(pager.charges)
    assert (door.used_calls, door.used_rows) == (len(events), LOTS)
    assert door.spent_fen == len(events) * CALL_FEN == sum(event.amount_fen for event in events)
    market.sound()
