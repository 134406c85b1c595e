"""A small shelf, open gates, a till and a served gateway to test against."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine.default import DefaultDialect

from metering import actions
from metering.gateway import build_gateway
from metering.settings import MeteringSettings
from metering.tables import Credential
from metering.till import Till
from storage.objects import LocalObjects
from storage.unit import Store
from tests.metering.commits import AroundCommits, Disk
from tests.metering.gatehouse import FILE, KINDS, Served, serving_file
from tests.metering.listening import listening
from tests.metering.shelf import BARE, SomePolicy, SomePrice, put_on_shelf
from tests.servers import NO_TLS, free_port


@pytest.fixture
def settings(tmp_path: Path) -> MeteringSettings:
    return MeteringSettings().resolved(tmp_path)


@pytest.fixture
def shelve(store: Store) -> Callable[..., None]:
    """Put a version of a product on the shelf."""

    def put(manifest: dict[str, Any], **about: Any) -> None:
        put_on_shelf(store, manifest, **about)

    return put


@pytest.fixture
def licensed(store: Store, shelve: Callable[..., None]) -> Callable[..., Credential]:
    """Open gates for these licenses over one bare product; returns the buyer's credential."""

    def open_them(*licenses: str, policy: Any = None) -> Credential:
        shelve(BARE)
        with store.unit("system:test") as unit:
            for license_id in licenses:
                actions.open_gate(
                    unit,
                    license_id=license_id,
                    product_id="prd_1",
                    buyer_id="org_buyer",
                    policy=policy or SomePolicy(),
                )
            credential, _ = actions.keep_credential(
                unit, org_id="org_buyer", kept_by="usr_buyer", name="program"
            )
        return credential

    return open_them


@pytest.fixture
def till(store: Store, settings: MeteringSettings) -> Iterator[Till]:
    till = Till(store.database, settings)
    yield till
    till.close()


@pytest.fixture
def around_commits(monkeypatch: pytest.MonkeyPatch) -> AroundCommits:
    """Let something stand around what commits the batches of the writer."""
    commit: Callable[..., None] = DefaultDialect.do_commit

    def stand(around: Callable[[Callable[[], None]], None]) -> None:
        def commits(dialect: DefaultDialect, connection: Any) -> None:
            if threading.current_thread().name == "till":
                around(lambda: commit(dialect, connection))
            else:
                commit(dialect, connection)

        monkeypatch.setattr(DefaultDialect, "do_commit", commits)

    return stand


@pytest.fixture
def disk(store: Store, around_commits: AroundCommits) -> Iterator[Disk]:
    disk = Disk(store.database, around_commits)
    yield disk
    disk.close()


@pytest.fixture
def manifest(objects: LocalObjects, tmp_path: Path) -> dict[str, Any]:
    serving = objects.put_file(serving_file(tmp_path / "serving.db"))
    file = objects.put_bytes(FILE)
    return {
        "version": 1,
        "rows": 59_999,
        "columns": [{"name": kind[0], "type": kind[1]} for kind in KINDS],
        "query_columns": ["名称"],
        "files": {
            "csv": {"sha256": file.sha256, "size": file.size, "name": "气象站点.csv"},
            "serving": {"sha256": serving.sha256, "size": serving.size, "name": "serving.db"},
        },
        "published_at": "2026-01-01T00:00:00Z",
    }


@pytest.fixture
def served(
    store: Store,
    objects: LocalObjects,
    settings: MeteringSettings,
    manifest: dict[str, Any],
    shelve: Callable[..., None],
    tmp_path: Path,
) -> Iterator[Served]:
    shelve(manifest)
    shelve(manifest, product_id="prd_open", tier="public_good")
    with store.unit("system:test") as unit:
        credential, secret = actions.keep_credential(
            unit, org_id="org_buyer", kept_by="usr_buyer", name="program"
        )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    gateway = build_gateway(store, objects, settings, public_url=url, folder=tmp_path / "gateway")
    with (
        listening(gateway, port, gateway.at_once),
        httpx2.Client(base_url=url, timeout=20, verify=NO_TLS) as http,
    ):
        house = Served(gateway, http, store, credential.id, secret)
        house.open_gate("lic_1", price=SomePrice(call_fen=3, row_fen=1))
        yield house
