"""Two gateways, one quota, and no market: exactly what was bought is served, and exactly that is on the invoice."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx2

from tests import servers
from tests.faults import goods
from tests.journeys.actors import Cast, bought
from tests.live import ROOT, Server, live_server

QUOTA, CALLS, CALL_FEN = 100, 400, 2


@contextmanager
def gateway(server: Server, log: Path, processes: int) -> Iterator[str]:
    """`shugang gateway` on the market's data, in so many processes; its address."""
    port = servers.free_port()
    given = {"DATA_DIR": str(server.data_dir), "PORT": str(port), "PUBLIC_URL": server.url}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SHUGANG_")}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "market.cli", "gateway", "--processes", str(processes)],
            cwd=ROOT,
            env=inherited | {f"SHUGANG_{name}": value for name, value in given.items()},
            stdout=file,
            stderr=file,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        assert servers.wait_for(f"{url}/healthz", process, seconds=60), log.read_text()[-2000:]
        yield url
    finally:
        process.terminate()
        assert process.wait(20) == 0, log.read_text()[-2000:]


def carrying(url: str, client: dict[str, str], license_id: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {goods.token_for(url, client, license_id)}"}


def test_a_quota_of_a_hundred_at_two_gateways_while_the_market_is_down(tmp_path: Path) -> None:
    with live_server(tmp_path / "market") as server, closing(Cast(server)) as cast:
        price = {"call_fen": CALL_FEN, "included_calls": QUOTA}
        product, plan = goods.commercial(cast, "hundred", goods.parking(63), price)
        scarce = bought(cast, product, plan, prepay_fen=10_000)["license_id"]
        product, plan = goods.commercial(cast, "plenty", goods.parking(64), {"call_fen": CALL_FEN})
        plenty = bought(cast, product, plan, prepay_fen=10_000)["license_id"]
        goods.public_good(cast, "free", goods.parking(61))
        client = cast.buyer.post("/credentials", {"name": "two"}, status=201)
        with ExitStack() as stack:
            doors = [
                stack.enter_context(gateway(server, tmp_path / f"{number}.log", number)) for number in (1, 2)
            ]
            server.kill()
            bearers = [carrying(door, client, scarce) for door in doors]
            programs = [
                stack.enter_context(httpx2.Client(base_url=door, timeout=60, trust_env=False))
                for door in doors
            ]

            def call(number: int) -> tuple[int, str]:
                answer = programs[number % 2].get(
                    "/data/v1/hundred/rows?limit=5",
                    headers=bearers[number // 2 % 2] | goods.fresh_key(),
                )
                if answer.status_code == 200:
                    assert len(answer.json()["rows"]) == 5
                    return 200, answer.headers["x-charge-id"]
                return answer.status_code, answer.json()["type"].rpartition("/")[2]

            with ThreadPoolExecutor(32) as crowd:
                answers = list(crowd.map(call, range(CALLS)))
            served = {charge for status, charge in answers if status == 200}
            refused = Counter(answer for answer in answers if answer[0] != 200)
            assert len(served) == QUOTA
            assert refused == {(403, "quota-exhausted"): CALLS - QUOTA}

            for door, program in zip(doors, programs, strict=True):
                bearer = carrying(door, client, plenty)
                ticket = program.post(
                    "/data/v1/plenty/downloads",
                    json={"file": "csv"},
                    headers=bearer | goods.fresh_key(),
                ).json()
                path = ticket["url"].removeprefix(server.url)
                for _again in range(2):  # from the disk, then from memory
                    file = program.get(path)
                    assert file.status_code == 200
                    assert hashlib.sha256(file.content).hexdigest() == ticket["sha256"]
                    assert file.headers["x-charge-id"] == ticket["charge_id"]
                assert file.headers["x-charge-duplicate"] == "true"
                assert len(program.get("/open/v1/free/rows?limit=7").json()["rows"]) == 7
                assert program.get("/open/v1/free/files/csv").status_code == 200
        server.start()
        for license_id, calls in ((scarce, QUOTA), (plenty, len(doors))):
            cast.buyer.post(f"/licenses/{license_id}/termination", {"reason": "试用结束，主动终止"})
            settled = cast.finance.post(f"/licenses/{license_id}/settlement")
            invoice = cast.buyer.get(f"/invoices/{settled['invoice']}")
            assert invoice["gross_fen"] == calls * CALL_FEN
            statement = cast.buyer.get(f"/licenses/{license_id}/statement", period=invoice["period"])
            assert statement["count"] == calls
