"""Downloads: charged once, resumed free, delivered when every byte left; with curl and wget, too."""

import base64
import contextlib
import hashlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from metering import actions
from metering.gate import new_charge_key
from metering.gateway.answers import disposition
from metering.tables import Delivery, Gate, UsageEvent
from storage.objects import LocalObjects
from tests.faults.wire import eventually
from tests.metering.gatehouse import FILE, Served
from tests.metering.shelf import BARE, SomePrice


def settled(served: Served, good: Callable[[list[Delivery]], bool]) -> list[Delivery]:
    """The deliveries once they are so: they are written down a second after the last byte left."""
    deadline = time.monotonic() + 10
    while not good(served.deliveries()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return served.deliveries()


def test_a_download_is_charged_once_resumed_free_and_known_to_be_delivered(served: Served) -> None:
    served.open_gate("lic_dl", limit_downloads=1, price=SomePrice(download_fen=500))
    answer = served.ticket("lic_dl")
    assert answer.status_code == 201, answer.text
    assert served.events() == []
    url = answer.json()["url"]
    head = served.http.head(url)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(FILE)))
    assert "filename*=UTF-8''%E6%B0%94" in head.headers["content-disposition"]
    assert served.http.get(url, headers={"Range": f"bytes={len(FILE)}-"}).status_code == 416
    assert served.http.get(url, headers={"If-None-Match": head.headers["etag"]}).status_code == 304
    assert served.events() == []
    part = served.http.get(url, headers={"Range": "bytes=0-99999"})
    assert (part.status_code, part.content) == (206, FILE[:100_000])
    assert part.headers["content-range"] == f"bytes 0-99999/{len(FILE)}"
    rest = served.http.get(url, headers={"Range": "bytes=100000-", "If-Range": head.headers["etag"]})
    assert rest.headers["x-charge-duplicate"] == "true"
    assert part.content + rest.content == FILE
    stale = served.http.get(url, headers={"Range": "bytes=5-", "If-Range": '"other"'})
    assert (stale.status_code, len(stale.content)) == (200, len(FILE))
    digest = base64.b64encode(hashlib.sha256(FILE).digest()).decode()
    assert stale.headers["repr-digest"] == f"sha-256=:{digest}:"
    (event,) = served.events()
    assert (event.kind, event.rows, event.bytes, event.amount_fen) == ("download", 59_999, len(FILE), 500)
    (delivery,) = settled(served, lambda found: bool(found) and found[0].delivered_at is not None)
    assert delivery.event_id == event.id
    assert delivery.ranges == [[0, len(FILE)]]
    assert delivery.delivered_at is not None
    second = served.ticket("lic_dl")
    assert (second.status_code, second.json()["unit"]) == (403, "downloads")


def test_a_key_spent_on_something_else_gets_no_ticket(served: Served) -> None:
    key = {"Idempotency-Key": new_charge_key()}
    assert served.http.get("/data/v1/product-1/rows", headers=served.bearer() | key).status_code == 200
    refused = served.ticket(**key)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/charge-key-reused")
    (event,) = served.events()
    assert refused.json()["receipt"]["charge_id"] == f"chg_{event.id.hex()}"


@pytest.mark.parametrize(("unit", "most", "left"), [("rows", 60_000, 1), ("bytes", len(FILE) + 5, 5)])
def test_a_file_that_a_limit_does_not_reach_for_gets_no_ticket(
    served: Served, unit: str, most: int, left: int
) -> None:
    limit: dict[str, Any] = {f"limit_{unit}": most}
    served.open_gate("lic_dl", **limit)
    assert served.http.get(served.ticket("lic_dl").json()["url"]).status_code == 200
    refused = served.ticket("lic_dl").json()
    assert (refused["status"], refused["unit"], refused["left"]) == (403, unit, left)
    assert len(served.events()) == 1


@pytest.mark.parametrize(
    "body", ['{"format": "csv"}', '{"file": "csv", "more": 1}', "[]", "[1]", '"csv"', "{"]
)
def test_what_a_ticket_is_for_is_never_guessed(served: Served, body: str) -> None:
    headers = served.bearer() | {"Idempotency-Key": new_charge_key()}
    refused = served.http.post("/data/v1/product-1/downloads", content=body, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "file")


def test_half_a_download_is_not_called_delivered(served: Served) -> None:
    url = served.ticket().json()["url"]
    served.http.get(url, headers={"Range": "bytes=10-19"})
    found = settled(served, bool)
    assert (found[0].ranges, found[0].delivered_at) == ([[10, 20]], None)


def test_a_small_file_for_somebody_who_has_gone_is_not_called_delivered(
    served: Served, objects: LocalObjects, shelve: Callable[..., None]
) -> None:
    file = objects.put_bytes(b"a,b\n1,2\n")
    shelve(
        BARE | {"files": {"csv": {"sha256": file.sha256, "size": file.size, "name": "small.csv"}}},
        product_id="prd_2",
    )
    served.open_gate("lic_2", product_id="prd_2", price=SomePrice(download_fen=5))

    def ticket() -> str:
        headers = served.bearer("lic_2") | {"Idempotency-Key": new_charge_key()}
        path = "/data/v1/product-2/downloads"
        return str(served.http.post(path, json={"file": "csv"}, headers=headers).json()["url"])

    address = served.http.base_url
    with served.store.database.writing() as connection:
        connection.execute(sa.update(Gate).values(used_calls=0))  # nothing can be charged meanwhile
        with socket.create_connection((address.host, address.port or 0)) as leaving:
            path = urlsplit(ticket()).path
            leaving.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\nRange: bytes=0-\r\n\r\n".encode())
            time.sleep(0.5)
        time.sleep(0.2)
    eventually(lambda: len(served.events()) == 1)
    assert served.http.get(ticket(), headers={"Range": "bytes=0-"}).status_code == 206
    found = settled(served, lambda found: any(each.delivered_at for each in found))
    assert [each.event_id for each in found if each.delivered_at] == [max(served.events(), key=_at).id]


def _at(event: UsageEvent) -> datetime:
    return event.at


def test_a_ticket_dies_with_its_license_and_cannot_be_forged(served: Served) -> None:
    url = served.ticket().json()["url"]
    assert served.http.get(url[:-6] + "AAAAAA").status_code == 401
    assert served.http.get("/d/" + served.token()).status_code == 401  # an access token is no ticket
    assert served.http.post("/data/v1/product-1/downloads", headers=served.bearer()).status_code == 400
    with served.store.unit("system:test") as unit:
        actions.shut_gate(unit, "lic_1", reason="suspended")
    assert served.http.get(url).json()["reason"] == "suspended"
    assert served.http.head(url).status_code == 403
    assert served.http.get(url, headers={"Range": f"bytes={len(FILE)}-"}).status_code == 403
    assert served.events() == []


@pytest.mark.parametrize(
    ("header", "status", "span"),
    [
        ("bytes=-5", 206, (-5, None)),
        ("Bytes=0-0", 206, (0, 1)),
        ("bytes=0-4,10-14", 200, (0, None)),  # several ranges: the whole file, as RFC 9110 allows
        ("bytes=9-3", 200, (0, None)),
        ("lines=1-2", 200, (0, None)),
        (f"bytes={'9' * 5000}-", 200, (0, None)),
        ("bytes=-0", 416, None),
    ],
)
def test_ranges_as_in_rfc_9110(
    served: Served, header: str, status: int, span: tuple[int, int | None] | None
) -> None:
    answer = served.http.get("/open/v1/product-open/files/csv", headers={"Range": header})
    assert answer.status_code == status
    if span is None:
        assert answer.headers["content-range"] == f"bytes */{len(FILE)}"
        return
    assert answer.content == FILE[slice(*span)]
    assert "content-encoding" not in answer.headers
    assert answer.headers["etag"].startswith('"')
    whole = base64.b64encode(hashlib.sha256(FILE).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{whole}:"


def test_a_chinese_name_is_kept() -> None:
    assert disposition('气象"站.csv') == (
        "attachment; filename=\"____.csv\"; filename*=UTF-8''%E6%B0%94%E8%B1%A1%22%E7%AB%99.csv"
    )


@pytest.fixture
def big(served: Served, objects: LocalObjects, shelve: Callable[..., None]) -> bytes:
    """48 MiB for sale as product-big under lic_big."""
    content = Random(7).randbytes(48 << 20)
    stored = objects.put_bytes(content)
    files = {"csv": {"sha256": stored.sha256, "size": stored.size, "name": "大文件.csv"}}
    shelve({**BARE, "files": files}, product_id="prd_big")
    served.open_gate("lic_big", product_id="prd_big", price=SomePrice(download_fen=500))
    return content


def url_of_big(served: Served) -> str:
    answer = served.http.post(
        "/data/v1/product-big/downloads",
        json={"file": "csv"},
        headers=served.bearer("lic_big") | {"Idempotency-Key": new_charge_key()},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


PROGRAMS = {
    "curl": [
        "curl",
        "--noproxy",
        "*",
        "-sS",
        "-f",
        "-C",
        "-",
        "--limit-rate",
        "{rate}",
        "-o",
        "{to}",
        "{url}",
    ],
    "wget": ["wget", "--no-proxy", "-q", "-c", "--tries=1", "--limit-rate={rate}", "-O", "{to}", "{url}"],
}


@pytest.mark.parametrize(
    "program", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in PROGRAMS]
)
def test_a_killed_download_is_resumed_by_real_programs_and_billed_once(
    served: Served, big: bytes, tmp_path: Path, program: str
) -> None:
    url, to = url_of_big(served), tmp_path / "file.csv"

    def command(rate: str) -> list[str]:
        return [part.format(rate=rate, to=to, url=url) for part in PROGRAMS[program]]

    for more in (4, 24):
        running = subprocess.Popen(command("40M"))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and running.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                if to.stat().st_size > more << 20:
                    break
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert more << 20 < to.stat().st_size < len(big)
        assert all(found.delivered_at is None for found in served.deliveries())
    subprocess.run(command("400M"), check=True, timeout=60)
    assert hashlib.sha256(to.read_bytes()).digest() == hashlib.sha256(big).digest()
    (event,) = served.events()
    assert (event.kind, event.amount_fen, event.bytes) == ("download", 500, len(big))
    (delivery,) = settled(served, lambda found: bool(found) and found[0].delivered_at is not None)
    assert delivery.ranges == [[0, len(big)]]
    assert delivery.delivered_at is not None
