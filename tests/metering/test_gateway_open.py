"""Open data needs no account, and no till."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import select
from structlog.testing import capture_logs

from metering import actions
from metering.tables import OpenUsage
from metering.words import Kind
from tests.metering.gatehouse import FILE, Served


def test_open_data_needs_no_account_and_never_meets_the_till(served: Served) -> None:
    about = served.http.get("/open/v1/product-open").json()
    assert about["license"]["id"] == "od-1.0"
    assert set(about["files"]) == {"csv"}
    assert len(served.http.get("/open/v1/product-open/rows?limit=5").json()["rows"]) == 5
    file = served.http.get(about["files"]["csv"]["url"])
    assert file.content == FILE
    assert served.http.get(about["files"]["csv"]["url"], headers={"Range": "bytes=-5"}).content == FILE[-5:]
    tag = {"If-None-Match": file.headers["etag"]}
    assert served.http.get(about["files"]["csv"]["url"], headers=tag).status_code == 304
    assert served.http.get("/open/v1/product-open/files/serving").status_code == 404
    assert served.http.get("/open/v1/product-1/rows").status_code == 404
    assert served.gateway.plane is not None
    kept: dict[Kind, tuple[int, int]] = {}
    until = time.monotonic() + 10
    while kept.get(Kind.DOWNLOAD, (0, 0))[0] < 2 and time.monotonic() < until:
        served.gateway.plane.afterwards.flush()  # bytes are noted after they left: the client may be faster
        with served.store.view() as view:
            kept = {row.kind: (row.calls, row.rows) for row in view.session.exec(select(OpenUsage)).all()}
    assert kept[Kind.ROWS] == (1, 5)
    assert kept[Kind.DOWNLOAD][0] == 2
    assert served.events() == []
    with served.store.unit("system:test") as unit:
        actions.unshelve(unit, "prd_open", reason="negative list")
    assert served.http.get("/open/v1/product-open/rows").status_code == 404


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (sa.exc.TimeoutError("no connection became free"), "TimeoutError"),
        (sa.exc.OperationalError("SELECT 1", {}, ConnectionError("lost")), "ConnectionError"),
    ],
)
def test_a_database_without_an_answer_is_a_refusal(
    served: Served, monkeypatch: pytest.MonkeyPatch, error: sa.exc.SQLAlchemyError, named: str
) -> None:
    def ping() -> float:
        raise error

    monkeypatch.setattr(served.store.database, "ping", ping)
    with capture_logs() as logs:
        answer = served.http.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert [line["error"] for line in logs if line["event"] == "gateway.database"] == [named]


@pytest.mark.parametrize("path", ["%00", "%00/rows", "product-open%00/rows", "product-open/files/%00"])
def test_no_product_has_a_zero_byte_in_its_name(served: Served, path: str) -> None:
    assert served.http.get(f"/open/v1/{path}").status_code == 404


def test_conditional_open_data_asks_for_an_open_token(
    served: Served, manifest: dict[str, Any], shelve: Callable[..., None]
) -> None:
    shelve(manifest, product_id="prd_cond", tier="public_good", conditional=True)
    served.open_gate("lic_open", product_id="prd_cond", tier="public_good")
    assert served.http.get("/open/v1/product-cond").status_code == 200
    assert served.http.get("/open/v1/product-cond/rows").status_code == 401
    commercial = served.http.get("/open/v1/product-cond/rows", headers=served.bearer("lic_1"))
    assert commercial.json()["type"] == "/problems/wrong-audience"
    accepted = served.bearer("lic_open")
    assert served.http.get("/open/v1/product-cond/rows", headers=accepted).status_code == 200
    paid = served.http.get("/data/v1/product-1/rows", headers=accepted)
    assert paid.json()["type"] == "/problems/wrong-audience"


def test_a_commercial_product_is_open_to_who_was_licensed_it_free(
    served: Served, manifest: dict[str, Any], shelve: Callable[..., None]
) -> None:
    """Public data ordered for public welfare: the open side serves it, under the license, and nothing is charged."""
    shelve(manifest, product_id="prd_sold", tier="commercial")
    served.open_gate("lic_welfare", product_id="prd_sold", tier="public_good")
    assert served.http.get("/open/v1/product-sold/rows").status_code == 404
    welfare = served.bearer("lic_welfare")
    assert len(served.http.get("/open/v1/product-sold/rows?limit=5", headers=welfare).json()["rows"]) == 5
    assert (
        served.http.get("/data/v1/product-sold/rows", headers=welfare).json()["type"]
        == "/problems/wrong-audience"
    )
    other = served.http.get("/open/v1/product-1/rows", headers=welfare)
    assert other.status_code in {403, 404}
    assert served.events() == []
