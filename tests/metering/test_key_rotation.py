"""Token keys at served gateways while another process rotates and drops them."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc.jwk import OKPKey
from sqlmodel import select

from contracts import keyring
from metering import actions
from metering.gateway import Gateway, build_gateway
from metering.keys import REFRESH_SECONDS, Seal, drop_key, load_ring, rotate_keys, rotate_when_due, token_keys
from metering.problems import KeyNotAnnounced
from metering.settings import MeteringSettings
from metering.tables import RevokedToken, TokenKey
from metering.tokens import AUD_COMMERCIAL, Access, KeyRing, mint_access
from metering.words import KeyState
from storage.kernel import clock
from storage.kernel.problem import NotFound
from storage.objects import LocalObjects
from storage.seal import Seal as HouseSeal
from storage.unit import Store
from tests.metering.gatehouse import Served
from tests.metering.listening import listening
from tests.servers import NO_TLS, free_port

ROOT = Path(__file__).resolve().parents[2]
ROWS = "/data/v1/product-1/rows?limit=1"


def states(store: Store) -> dict[KeyState, int]:
    with store.view() as view:
        found = [row.state for row in token_keys(view)]
    return {state: found.count(state) for state in KeyState}


def current(store: Store) -> str:
    with store.view() as view:
        return next(row.kid for row in token_keys(view) if row.state is KeyState.CURRENT)


def rotate(store: Store, settings: MeteringSettings) -> str:
    with store.unit("system:test") as unit:
        return rotate_keys(unit, Seal(settings), announced=timedelta(0)).kid


@pytest.fixture
def second(
    served: Served, objects: LocalObjects, settings: MeteringSettings, tmp_path: Path
) -> Iterator[httpx2.Client]:
    """Another gateway of the same market: same issuer, same database, its own memory."""
    gateway = build_gateway(
        served.store, objects, settings, public_url=str(served.http.base_url), folder=tmp_path / "second"
    )
    port = free_port()
    with (
        listening(gateway, port, gateway.at_once),
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, verify=NO_TLS) as http,
    ):
        yield http


def signed_by(served: Served, key: OKPKey, **changes: Any) -> dict[str, str]:
    now = int(clock.now().timestamp())
    values: dict[str, Any] = {
        "client_id": served.credential, "org": "org_buyer", "audience": AUD_COMMERCIAL, "license_id": "lic_1",
        "product_id": "prd_1", "purpose": "internal_business", "scope": "data:read", "cidrs": (), "jti": "tok_x",
        "issued_at": now, "expires_at": now + 600,
    }  # fmt: skip
    ring = KeyRing({key.thumbprint(): key}, key)
    issuer = str(served.http.base_url).rstrip("/")
    return {"Authorization": f"Bearer {mint_access(Access(**(values | changes)), issuer=issuer, ring=ring)}"}


def revoke(served: Served, headers: dict[str, str], client: tuple[str, str] | None = None) -> httpx2.Response:
    form = {"token": headers["Authorization"].partition(" ")[2]}
    return served.http.post("/oauth/revoke", data=form, auth=client or (served.credential, served.secret))


def revoked(served: Served) -> list[str]:
    with served.store.view() as view:
        return list(view.session.exec(select(RevokedToken.jti)).all())


def signing_key(served: Served) -> OKPKey:
    plane = served.gateway.plane
    assert plane is not None
    assert plane.keys.ring.signing is not None
    return plane.keys.ring.signing


def rotating(served: Served, tmp_path: Path, times: int) -> subprocess.Popen[str]:
    """Another process that rotates the keys of the same database several times in a row."""
    program = (
        "import sys, time; from datetime import timedelta; from pathlib import Path\n"
        "import market.schema\n"
        "from metering.keys import Seal, rotate_keys; from metering.settings import MeteringSettings\n"
        "from storage.database import Database; from storage.unit import Store\n"
        "store = Store(Database(sys.argv[1])); seal = Seal(MeteringSettings().resolved(Path(sys.argv[2])))\n"
        "for _ in range(int(sys.argv[3])):\n"
        "    with store.unit('system:other') as unit:\n"
        "        print(rotate_keys(unit, seal, announced=timedelta(0)).kid, flush=True)\n"
        "    time.sleep(0.7)\n"
    )
    url = served.store.database.url.render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-c", program, url, str(tmp_path), str(times)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_another_process_rotates_and_nobody_is_refused_wrongly(
    served: Served, second: httpx2.Client, tmp_path: Path
) -> None:
    answers: list[int] = []
    ended = threading.Event()

    def call(http: httpx2.Client) -> None:
        number = 0
        while not ended.is_set():
            if number % 50 == 0:  # a token of the one gateway, used at the other
                headers = served.bearer()
            answers.append(http.get(ROWS, headers=headers).status_code)
            number += 1

    callers = [threading.Thread(target=call, args=(http,)) for http in (served.http, second)]
    for caller in callers:
        caller.start()
    other = rotating(served, tmp_path, 4)
    out, _ = other.communicate(timeout=60)
    assert other.returncode == 0
    time.sleep(1)
    ended.set()
    for caller in callers:
        caller.join()
    assert len(set(out.split())) == 4
    assert len(answers) > 40
    assert set(answers) == {200}
    assert states(served.store) == {
        KeyState.NEXT: 1, KeyState.CURRENT: 1, KeyState.RETIRED: 4, KeyState.DROPPED: 0,
    }  # fmt: skip


def test_a_key_another_gateway_does_not_know_yet_is_looked_up(served: Served, second: httpx2.Client) -> None:
    headers = served.bearer()
    assert second.get(ROWS, headers=headers).status_code == 200
    settings = served.gateway.plane.settings if served.gateway.plane else MeteringSettings()
    rotate(served.store, settings)
    rotate(served.store, settings)  # the key that signs now was never announced
    assert served.gateway.plane is not None
    served.gateway.plane.keys.refresh()
    time.sleep(0.6)
    assert second.get(ROWS, headers=served.bearer()).status_code == 200
    assert second.get(ROWS, headers=headers).status_code == 200


def test_a_dropped_key_ends_its_tokens_within_the_interval(
    served: Served, second: httpx2.Client, settings: MeteringSettings
) -> None:
    headers = served.bearer()
    assert served.http.get(ROWS, headers=headers).status_code == 200
    assert second.get(ROWS, headers=headers).status_code == 200
    kid = current(served.store)
    with served.store.unit("system:test") as unit:
        drop_key(unit, Seal(settings), kid, reason="leaked")
    began = time.monotonic()
    waiting = {served.http, second}
    while waiting and time.monotonic() - began < REFRESH_SECONDS + 2:
        waiting = {http for http in waiting if http.get(ROWS, headers=headers).status_code == 200}
        time.sleep(0.2)
    assert not waiting
    assert second.get(ROWS, headers=headers).status_code == 401
    assert second.get(ROWS, headers=served.bearer()).status_code == 200
    assert kid not in {key["kid"] for key in second.get("/.well-known/jwks.json").json()["keys"]}
    with served.store.view() as view:
        row = view.session.get_one(TokenKey, kid)
    assert (row.state, row.sealed) == (KeyState.DROPPED, b"")


def test_a_revoked_token_ends_at_once_on_two_gateways(served: Served, second: httpx2.Client) -> None:
    token = served.token()
    headers = {"Authorization": f"Bearer {token}"}
    for http in (served.http, second):
        assert http.get(ROWS, headers=headers).status_code == 200
    form = {"token": token}
    assert (
        served.http.post("/oauth/revoke", data=form, auth=(served.credential, served.secret)).status_code
        == 200
    )
    charged = len(served.events())
    for http in (second, served.http):  # not a second later: the till reads it with every charge
        assert http.get(ROWS, headers=headers).status_code == 401
    asked = second.post("/oauth/introspect", data=form, auth=(served.credential, served.secret))
    assert asked.json() == {"active": False}
    assert len(served.events()) == charged


def test_a_token_of_a_key_made_a_moment_ago_is_revoked(served: Served, settings: MeteringSettings) -> None:
    plane = served.gateway.plane
    assert plane is not None
    plane.keys.refresh()  # so lately that a read of data would not look for the key again
    rotate(served.store, settings)
    rotate(served.store, settings)
    with served.store.view() as view:
        newest = load_ring(view, Seal(settings)).signing
    assert newest is not None
    assert newest.thumbprint() not in plane.keys.ring.public
    assert revoke(served, signed_by(served, newest)).status_code == 200
    assert revoked(served) == ["tok_x"]


def test_an_expired_token_is_revoked_while_its_tickets_live(served: Served) -> None:
    now = int(clock.now().timestamp())
    ticket = served.ticket(**signed_by(served, signing_key(served))).json()
    before = signed_by(served, signing_key(served), issued_at=now - 90_000, expires_at=now - 86_600)
    assert revoke(served, before).status_code == 200  # the last ticket that it may have bought is over, too
    assert revoked(served) == []
    before = signed_by(served, signing_key(served), issued_at=now - 90_000, expires_at=now - 80_000)
    assert served.http.head(ticket["url"]).status_code == 200
    assert revoke(served, before).status_code == 200
    assert revoked(served) == ["tok_x"]
    for method in ("HEAD", "GET"):
        assert served.http.request(method, ticket["url"]).status_code == 401
    assert not served.events()


def test_a_revocation_is_remembered_as_long_as_the_last_ticket_lives(served: Served) -> None:
    now = int(clock.now().timestamp())
    token = signed_by(served, signing_key(served), expires_at=now)
    ticket = served.ticket(**token).json()
    revoke(served, token)
    with served.store.view() as view:
        row = view.session.get_one(RevokedToken, "tok_x")
    assert row.until.timestamp() >= ticket["resume_until"]


@pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "foo"])
def test_a_hint_of_any_kind_is_passed_over(served: Served, hint: str) -> None:
    client, headers = (served.credential, served.secret), served.bearer()
    form = {"token": headers["Authorization"].partition(" ")[2], "token_type_hint": hint}
    assert served.http.post("/oauth/introspect", data=form, auth=client).json()["active"] is True
    assert served.http.post("/oauth/revoke", data=form, auth=client).status_code == 200
    assert served.http.get(ROWS, headers=headers).status_code == 401
    assert served.http.post("/oauth/introspect", data=form, auth=client).json() == {"active": False}


def test_a_token_of_another_client_is_left_alone(served: Served) -> None:
    with served.store.unit("system:test") as unit:
        row, secret = actions.keep_credential(unit, org_id="org_buyer", kept_by="usr_buyer", name="other")
    headers = served.bearer()
    answer = revoke(served, headers, client=(row.id, secret))
    assert (answer.status_code, answer.json()) == (200, {})
    assert revoked(served) == []
    assert served.http.get(ROWS, headers=headers).status_code == 200


def test_a_cached_token_expires_between_two_calls(served: Served) -> None:
    now = int(clock.now().timestamp())
    headers = signed_by(served, signing_key(served), expires_at=now - 2)  # inside the leeway of five seconds
    assert served.http.get(ROWS, headers=headers).status_code == 200
    assert served.http.get(ROWS, headers=headers).status_code == 200
    time.sleep(4)
    assert served.http.get(ROWS, headers=headers).status_code == 401


def test_a_document_key_signs_no_token_and_a_token_key_no_document(served: Served) -> None:
    documents = HouseSeal("house secret of thirty-two letters", "documents")
    document_key = keyring.signing_key(served.store, documents)
    assert served.http.get(ROWS, headers=signed_by(served, signing_key(served))).status_code == 200
    refused = served.http.get(ROWS, headers=signed_by(served, document_key))
    assert (refused.status_code, refused.json()["type"]) == (401, "/problems/invalid-token")
    with served.store.view() as view:
        trusted = {row["kid"] for row in keyring.trusted_keys(view)}
        tokens = {row.kid for row in token_keys(view)}
    assert trusted
    assert tokens
    assert not trusted & tokens
    published = {key["kid"] for key in served.http.get("/.well-known/jwks.json").json()["keys"]}
    assert published == tokens


@pytest.mark.parametrize(
    ("trusted", "forwarded", "status"),
    [
        ((), None, 403),
        ((), "203.0.113.9", 403),  # nobody stands before us: the header is the caller's own invention
        (("198.51.100.0/24",), "203.0.113.9", 403),  # a proxy is trusted, but this peer is not it
        (("127.0.0.0/8",), "203.0.113.9", 200),
        (("127.0.0.0/8",), "203.0.113.9, 192.0.2.1", 403),  # what our proxy saw counts, not what it was told
        (("127.0.0.0/8",), "203.0.113.9, 127.0.0.5", 200),
    ],
)
def test_a_forged_forwarded_address_opens_no_network(
    served: Served,
    objects: LocalObjects,
    settings: MeteringSettings,
    tmp_path: Path,
    trusted: tuple[str, ...],
    forwarded: str | None,
    status: int,
) -> None:
    behind: Gateway = build_gateway(
        served.store,
        objects,
        settings.model_copy(update={"trusted_proxies": trusted}),
        public_url=str(served.http.base_url),
        folder=tmp_path / "behind",
    )
    headers = signed_by(served, signing_key(served), cidrs=("203.0.113.0/24",))
    if forwarded is not None:
        headers["X-Forwarded-For"] = forwarded
    port = free_port()
    with listening(behind, port):
        assert httpx2.get(f"http://127.0.0.1:{port}{ROWS}", headers=headers).status_code == status


def test_a_fresh_key_does_not_sign_and_a_drop_always_may(served: Served, settings: MeteringSettings) -> None:
    store, seal = served.store, Seal(settings)
    first = current(store)
    with pytest.raises(KeyNotAnnounced), store.unit("system:test") as unit:
        rotate_keys(unit, seal)
    with clock.held(clock.now() + timedelta(minutes=2)), store.unit("system:test") as unit:
        assert rotate_keys(unit, seal).kid != first
    second = current(store)
    with store.unit("system:test") as unit:
        drop_key(unit, seal, second, reason="leaked")
        drop_key(unit, seal, second, reason="twice is once")
    assert current(store) not in {first, second}
    assert states(store) == {
        KeyState.NEXT: 1, KeyState.CURRENT: 1, KeyState.RETIRED: 1, KeyState.DROPPED: 1,
    }  # fmt: skip
    with pytest.raises(NotFound), store.unit("system:test") as unit:
        drop_key(unit, seal, "nobody", reason="mistyped")


def test_rotation_by_the_clock_comes_once(served: Served, settings: MeteringSettings) -> None:
    store, seal = served.store, Seal(settings)
    with store.unit("system:test") as unit:
        assert rotate_when_due(unit, seal, days=30) is None
    before = current(store)
    later = clock.now() + timedelta(days=30, minutes=1)
    came: list[bool] = []
    together = threading.Barrier(2)

    def tick() -> None:
        together.wait()
        with clock.held(later), store.unit("system:clock") as unit:
            came.append(rotate_when_due(unit, seal, days=30) is not None)

    workers = [threading.Thread(target=tick) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(came) == [False, True]
    assert current(store) != before
    assert states(store)[KeyState.CURRENT] == 1


def test_key_set_shows_no_private_part(served: Served) -> None:
    shown = json.dumps(served.http.get("/.well-known/jwks.json").json())
    assert '"d"' not in shown
    assert '"x"' in shown
