"""Handing a paid download to the S3 store itself: only when switched on, only after the charge."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from metering import actions
from metering.gate import new_charge_key
from metering.gateway import build_gateway
from metering.settings import MeteringSettings
from metering.tables import Delivery, UsageEvent
from storage.objects_s3 import S3Objects
from storage.unit import Store
from tests.metering.shelf import BARE, SomePolicy, SomePrice

pytestmark = [pytest.mark.s3, pytest.mark.curl]
BASE = "http://127.0.0.1:8000"
CONTENT = Random(3).randbytes(300_000)


@pytest.mark.parametrize("seconds", [0, 30])
def test_a_paid_download_is_handed_to_the_store_after_its_charge(
    store: Store,
    settings: MeteringSettings,
    s3_url: str,
    shelve: Callable[..., None],
    tmp_path: Path,
    seconds: int,
) -> None:
    remote = S3Objects(s3_url)
    stored = remote.put_bytes(CONTENT)
    shelve({**BARE, "files": {"csv": {"sha256": stored.sha256, "size": stored.size, "name": "气象.csv"}}})
    with store.unit("system:test") as unit:
        credential, secret = actions.keep_credential(
            unit, org_id="org_buyer", kept_by="usr_buyer", name="program"
        )
        actions.open_gate(
            unit,
            license_id="lic_1",
            product_id="prd_1",
            buyer_id="org_buyer",
            policy=SomePolicy(price=SomePrice(download_fen=500)),
        )
    handing = settings.model_copy(update={"hand_off_seconds": seconds})
    gateway = build_gateway(store, remote, handing, public_url=BASE, folder=tmp_path / "gateway")
    with TestClient(gateway, base_url=BASE, follow_redirects=False) as http:
        form = {"grant_type": "client_credentials", "license": "lic_1"}
        token = http.post("/oauth/token", data=form, auth=(credential.id, secret)).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": new_charge_key()}
        url = http.post("/data/v1/product-1/downloads", json={"file": "csv"}, headers=headers).json()["url"]
        assert http.head(url).headers["content-length"] == str(len(CONTENT))
        beyond = {"Range": f"bytes={len(CONTENT)}-"}
        assert http.get(url, headers=beyond).status_code == 416
        assert bought(store) == ([], [])
        answer = http.get(url)
        assert gateway.plane is not None
        gateway.plane.afterwards.flush()
        (event,), (delivery,) = bought(store)
        assert (event.amount_fen, delivery.event_id) == (500, event.id)
        assert answer.headers["x-charge-id"] == f"chg_{event.id.hex()}"
        if not seconds:
            assert (answer.status_code, answer.content) == (200, CONTENT)
            assert (delivery.ranges, delivery.handed_over_at) == ([[0, len(CONTENT)]], None)
            return
        assert (answer.status_code, answer.headers["cache-control"]) == (303, "no-store")
        assert (delivery.ranges, delivery.delivered_at) == (
            [],
            None,
        )  # what the store sent is not known to us
        assert delivery.handed_over_at is not None
        address = answer.headers["location"]
        assert parse_qs(urlsplit(address).query)["X-Amz-Expires"] == ["30"]
        to = tmp_path / "file.csv"
        to.write_bytes(CONTENT[:1000])
        command = ["curl", "--noproxy", "*", "-sS", "-f", "-C", "-", "-D", "-", "-o", str(to), address]
        shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        assert hashlib.sha256(to.read_bytes()).hexdigest() == stored.sha256
        assert "%E6%B0%94" in shown
        assert http.get(url).status_code == 303  # again, free
        with store.unit("system:test") as unit:
            actions.shut_gate(unit, "lic_1", reason="revoked")
        assert http.get(url).json()["reason"] == "revoked"
        assert len(bought(store)[0]) == 1


def bought(store: Store) -> tuple[list[UsageEvent], list[Delivery]]:
    with store.view() as view:
        return list(view.session.exec(select(UsageEvent)).all()), list(
            view.session.exec(select(Delivery)).all()
        )
