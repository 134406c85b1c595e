"""A product's next version comes out while buyers are reading: who gets which, and what a charge was made for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from metering.gate import new_charge_key
from storage.objects import LocalObjects
from tests.metering.gatehouse import FILE, ROWS, Served, serving_file
from tests.metering.shelf import SomePrice

PATH = "/data/v1/product-1/rows"
NEXT_FILE = FILE.replace("站点".encode(), "站台".encode())


@pytest.fixture
def publish(
    objects: LocalObjects, manifest: dict[str, Any], shelve: Callable[..., None], tmp_path: Path
) -> Callable[[], None]:
    """Put the second version on the shelf: the same rows under other names."""

    def second() -> None:
        serving = objects.put_file(serving_file(tmp_path / "serving2.db", named="站台"))
        file = objects.put_bytes(NEXT_FILE)
        files = {
            "csv": {"sha256": file.sha256, "size": file.size, "name": "气象站点.csv"},
            "serving": {"sha256": serving.sha256, "size": serving.size, "name": "serving.db"},
        }
        shelve(manifest | {"version": 2, "files": files})

    return second


def _named(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["rows"][0]["名称"])


def test_the_latest_is_served_and_a_pinned_license_keeps_its_own(
    served: Served, publish: Callable[[], None]
) -> None:
    served.open_gate("lic_pinned", version_rule="pinned", version="1")
    first = served.http.get(f"{PATH}?limit=1", headers=served.bearer())
    publish()
    served.open_gate("lic_next", version_rule="pinned", version="2")
    now = served.http.get(f"{PATH}?limit=1", headers=served.bearer())
    assert (_named(first), _named(now)) == ("站点1", "站台1")
    assert (first.headers["x-data-version"], now.headers["x-data-version"]) == ("1", "2")
    assert first.headers["etag"] != now.headers["etag"]
    pinned = served.http.get(f"{PATH}?limit=1", headers=served.bearer("lic_pinned"))
    assert (_named(pinned), pinned.headers["x-data-version"]) == ("站点1", "1")
    assert _named(served.http.get(f"{PATH}?limit=1", headers=served.bearer("lic_next"))) == "站台1"
    assert served.http.get("/open/v1/product-open/rows?limit=1").headers["x-data-version"] == "1"


def test_a_run_over_pages_stays_on_the_version_it_began_with(
    served: Served, publish: Callable[[], None]
) -> None:
    headers = served.bearer()
    page = served.http.get(f"{PATH}?limit=60&order=名称", headers=headers).json()
    rows = page["rows"]
    publish()
    headers = served.bearer()
    while page["next"]:
        answer = served.http.get(
            PATH, params={"limit": 60, "order": "名称", "cursor": page["next"]}, headers=headers
        )
        assert answer.headers["x-data-version"] == "1"
        page = answer.json()
        rows += page["rows"]
    assert sorted(row["编号"] for row in rows) == list(range(1, ROWS + 1))
    assert not [row for row in rows if (row["名称"] or "").startswith("站台")]


def test_a_cursor_of_another_version_is_refused_under_a_pinned_license(
    served: Served, publish: Callable[[], None]
) -> None:
    publish()
    served.open_gate("lic_pinned", version_rule="pinned", version="1")
    cursor = served.http.get(f"{PATH}?limit=60", headers=served.bearer()).json()["next"]
    answer = served.http.get(
        PATH, params={"limit": 60, "cursor": cursor}, headers=served.bearer("lic_pinned")
    )
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")


@pytest.mark.parametrize("warm", [True, False], ids=["asked a moment ago", "asked anew"])
def test_what_was_paid_for_is_served_again_after_the_next_version_came(
    served: Served, publish: Callable[[], None], *, warm: bool
) -> None:
    key = {"Idempotency-Key": new_charge_key()}
    first = served.http.get(f"{PATH}?limit=3&名称=eq.站点1", headers=served.bearer() | key)
    publish()
    headers = served.bearer()
    if warm:  # the page of the new version, by the same token: the next question takes the short way
        assert served.http.get(f"{PATH}?limit=3&名称=eq.站点1", headers=headers).json()["rows"] == []
    again = served.http.get(f"{PATH}?limit=3&名称=eq.站点1", headers=headers | key)
    assert (again.status_code, again.content) == (200, first.content), again.text
    assert again.headers["x-charge-duplicate"] == "true"
    assert again.headers["x-charge-id"] == first.headers["x-charge-id"]
    assert len(served.events()) == 1 + warm
    other = served.http.get(f"{PATH}?limit=4&名称=eq.站点1", headers=headers | key)
    assert (other.status_code, other.json()["type"]) == (409, "/problems/charge-key-reused")
    newer = served.http.get(
        f"{PATH}?limit=3&名称=eq.站台1", headers=headers | {"Idempotency-Key": new_charge_key()}
    )
    assert _named(newer) == "站台1"


def test_a_download_begun_before_is_ended_after_the_next_version_came(
    served: Served, publish: Callable[[], None]
) -> None:
    served.open_gate("lic_files", price=SomePrice(download_fen=9), limit_downloads=2)
    key = {"Idempotency-Key": new_charge_key()}
    ticket = served.ticket("lic_files", **key).json()
    begun = served.http.get(ticket["url"], headers={"Range": "bytes=0-999"})
    assert begun.status_code == 206
    publish()
    renewed = served.ticket("lic_files", **key).json()
    assert (renewed["version"], renewed["sha256"]) == (1, ticket["sha256"])
    rest = served.http.get(renewed["url"], headers={"Range": "bytes=1000-"})
    assert (begun.content + rest.content, rest.headers["x-charge-duplicate"]) == (FILE, "true")
    newer = served.ticket("lic_files").json()
    assert (newer["version"], served.http.get(newer["url"]).content) == (2, NEXT_FILE)
    assert len(served.events()) == 2
    assert served.ticket("lic_files").status_code == 403  # both are used up
    assert served.ticket("lic_files", **key).status_code == 201  # this one is paid for
