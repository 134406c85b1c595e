"""Open data while nothing can be written: somebody holds the writer, the disk is full, or revocations queue up."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from sqlmodel import select

from metering import actions
from metering.tables import OpenUsage, RevokedToken
from metering.words import Kind
from storage.database import Database
from storage.unit import Store
from tests.metering.gatehouse import FILE, Served

OPEN, COND, PAID = "/open/v1/product-open", "/open/v1/product-cond", "/data/v1/product-1/rows"
AT_ONCE = 5.0  # seconds: whoever waits for the writer waits fifteen or thirty
MANY = 12  # more than there are threads for reading

Held = Callable[[Store], AbstractContextManager[None]]


@contextmanager
def held_here(store: Store) -> Iterator[None]:
    """Somebody of this process writes."""
    with store.database.writing() as connection:
        nobody_else(connection)
        yield


@contextmanager
def held_elsewhere(store: Store) -> Iterator[None]:
    """Somebody writes who queued up with nobody."""
    other = Database(store.database.url.render_as_string(hide_password=False))
    with other.engine.begin() as connection:
        nobody_else(connection)
        yield
    other.close()


def nobody_else(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        connection.exec_driver_sql(
            "LOCK TABLE gate, credential, revoked_token, usage_event, open_usage IN EXCLUSIVE MODE"
        )


@contextmanager
def full(store: Store) -> Iterator[None]:
    """A disk to which nothing is written that the gateway has to say."""
    tables, sqlite = ("usage_event", "open_usage"), store.database.is_sqlite
    with store.database.writing() as connection:
        if not sqlite:
            connection.exec_driver_sql(
                "CREATE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$"
            )
        for table in tables:
            does = (
                "BEGIN SELECT RAISE(ABORT, 'no space left'); END" if sqlite else "EXECUTE FUNCTION is_full()"
            )
            connection.exec_driver_sql(
                f"CREATE TRIGGER {table}_full BEFORE INSERT ON {table} FOR EACH ROW {does}"
            )
    yield
    with store.database.writing() as connection:
        for table in tables:
            connection.exec_driver_sql(f"DROP TRIGGER {table}_full" + ("" if sqlite else f" ON {table}"))


@pytest.fixture
def conditional(served: Served, manifest: dict[str, Any], shelve: Callable[..., None]) -> dict[str, str]:
    """Open data under a condition that was accepted: the header that carries the token."""
    shelve(manifest, product_id="prd_cond", tier="public_good", conditional=True)
    served.open_gate("lic_open", product_id="prd_cond", tier="public_good")
    return served.bearer("lic_open")


def open_data_is_served(served: Served, conditional: dict[str, str]) -> None:
    """Rows and files nobody asked for before, and asked again."""

    def get(path: str, headers: dict[str, str] | None = None) -> httpx2.Response:
        answer = served.http.get(path, headers=headers, timeout=AT_ONCE)
        assert answer.status_code in {200, 206}, answer.text
        return answer

    for _ in range(2):
        assert get(OPEN).json()["rows"] == 59_999
        assert len(get(f"{OPEN}/rows?limit=3&名称=eq.站点3").json()["rows"]) == 3
        assert get(f"{OPEN}/files/csv").content == FILE
        assert get(f"{OPEN}/files/csv", {"Range": "bytes=-5"}).content == FILE[-5:]
        assert len(get(f"{COND}/rows?limit=4", conditional).json()["rows"]) == 4
        assert get(f"{COND}/files/csv", conditional).content == FILE


def counted(served: Served) -> dict[tuple[str, Kind], int]:
    with served.store.view() as view:
        return {(row.product_id, row.kind): row.calls for row in view.session.exec(select(OpenUsage)).all()}


def everything_is_counted(served: Served) -> None:
    expected = {
        ("prd_open", Kind.ROWS): 2,
        ("prd_open", Kind.DOWNLOAD): 4,
        ("prd_cond", Kind.ROWS): 2,
        ("prd_cond", Kind.DOWNLOAD): 2,
    }
    assert served.gateway.plane is not None
    until = time.monotonic() + 10
    while counted(served) != expected and time.monotonic() < until:
        served.gateway.plane.afterwards.flush()  # what could not be written is kept for the next time
    assert counted(served) == expected


@pytest.mark.parametrize("held", [held_here, held_elsewhere])
def test_open_data_never_waits_for_who_writes(
    served: Served, conditional: dict[str, str], held: Held
) -> None:
    headers, answers = served.bearer(), []

    def pay() -> None:
        answers.append(served.http.get(f"{PAID}?limit=1", headers=headers, timeout=60).status_code)

    buyer = threading.Thread(target=pay)
    with held(served.store):
        buyer.start()
        open_data_is_served(served, conditional)
        assert answers == []  # the till is stuck, as it has to be
    buyer.join(60)
    assert answers == [200]
    everything_is_counted(served)
    assert len(served.events()) == 1


def test_open_data_is_served_from_a_full_disk(served: Served, conditional: dict[str, str]) -> None:
    headers = served.bearer()
    with full(served.store):
        assert served.http.get(f"{PAID}?limit=1", headers=headers).status_code == 503
        open_data_is_served(served, conditional)
        assert served.gateway.plane is not None
        served.gateway.plane.afterwards.flush()
        assert counted(served) == {}
        assert served.http.get(f"{PAID}?limit=1", headers=headers).status_code == 503
    everything_is_counted(served)
    assert served.http.get(f"{PAID}?limit=1", headers=headers).status_code == 200
    assert len(served.events()) == 1


def test_revocations_that_wait_keep_nobody_from_reading(served: Served, conditional: dict[str, str]) -> None:
    headers = served.bearer()
    page = served.http.get(f"{PAID}?limit=1", headers=headers)
    known = headers | {"If-None-Match": page.headers["etag"]}
    with served.store.unit("system:test") as unit:
        row, secret = actions.keep_credential(
            unit, org_id="org_buyer", kept_by="usr_buyer", name="another program"
        )
    client, answers = (row.id, secret), []
    form = {"grant_type": "client_credentials", "license": "lic_1"}
    tokens = [
        served.http.post("/oauth/token", data=form, auth=client).json()["access_token"] for _ in range(MANY)
    ]

    def revoke(token: str) -> None:
        answers.append(
            served.http.post("/oauth/revoke", data={"token": token}, auth=client, timeout=60).status_code
        )

    revoking = [threading.Thread(target=revoke, args=(token,)) for token in tokens]
    with served.store.database.writing() as connection:
        if not served.store.database.is_sqlite:
            lock = sa.text("SELECT id FROM credential WHERE id = :id FOR UPDATE")
            connection.execute(lock, {"id": row.id})
        for thread in revoking:
            thread.start()
        time.sleep(0.5)  # until they wait
        open_data_is_served(served, conditional)
        assert served.http.get(f"{PAID}?limit=1", headers=known, timeout=AT_ONCE).status_code == 304
        assert served.http.head(f"{PAID}?limit=2", headers=headers, timeout=AT_ONCE).status_code == 200
        if not served.store.database.is_sqlite:  # where nobody can be charged now
            for limit in (1, 1, 2):
                paid = served.http.get(f"{PAID}?limit={limit}", headers=headers, timeout=AT_ONCE)
                assert paid.status_code == 200
        assert answers == []
    for thread in revoking:
        thread.join(60)
    assert answers == [200] * MANY
    with served.store.view() as view:
        assert len(view.session.exec(select(RevokedToken)).all()) == MANY
