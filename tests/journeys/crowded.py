"""A market with goods, a buyer and a program, for those who send it what it must refuse."""

import uuid
from typing import Any

import httpx2

from tests.faults import goods
from tests.journeys.actors import ASSET, Cast, Person, bought
from tests.live import Server

GOOD = b"lot,free\n1,20\n2,30\n"


class Market:
    """A market with one commercial and one free product, and somebody who bought."""

    def __init__(self, server: Server, cast: Cast) -> None:
        self.server, self.cast = server, cast
        content = goods.parking(60)
        self.product, self.plan = goods.commercial(cast, "parking", content, {"call_fen": 2})
        self.free, self.free_plan = goods.public_good(cast, "parking-open", goods.parking(61))
        self.draft: str = cast.provider.post("/assets", ASSET | {"code": "370200-draft"}, status=201)["id"]
        self.order = bought(cast, self.product, self.plan, prepay_fen=10_000)
        self.license: str = self.order["license_id"]
        self.token, self.program = goods.program(server, cast, self.license)


def send(who: Person, path: str, body: Any, key: str | None = "") -> httpx2.Response:
    """POST as a person; key None leaves the Idempotency-Key out."""
    headers = {} if key is None else {"Idempotency-Key": key or str(uuid.uuid4())}
    return who.http.post(f"/api/v1{path}", json=body, headers=headers)


def put_in(market: Market, content: bytes, name: str = "数据.csv", **query: str) -> httpx2.Response:
    """Upload a file to the draft asset."""
    headers = {"X-File-Name": name.encode().decode("latin-1") if name.isascii() else "data.csv"}
    return market.cast.provider.http.post(
        f"/api/v1/assets/{market.draft}/files", params=query, content=content, headers=headers
    )
