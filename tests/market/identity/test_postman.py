"""Mail leaves once, outside any Unit, and a failing server only delays it."""

import email
import email.policy
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from sqlmodel import select

from market.identity import actions, postman
from market.identity.tables import Mail
from market.settings import MailSettings, Settings
from storage.kernel import clock
from storage.kernel.words import Lang
from storage.unit import SlowInsideUnit, Store
from tests.servers import free_port


def settings_of(tmp_path: Path, url: str = "") -> Settings:
    return Settings(data_dir=tmp_path / "var", mail=MailSettings(url=url)).settled()


def write(store: Store, template: str = "reset", lang: Lang = "zh") -> str:
    with store.unit("system:test") as unit:
        user = actions.create_user(unit, login=f"{template}@buyer.example", name="王小海", lang=lang)
        secret = actions.make_link(unit, user, template)
        actions.send_mail(
            unit, user, template, {"secret": secret} | ({"org": "pty_x"} if template == "invite" else {})
        )
    return secret


def row(store: Store) -> Mail:
    with store.view() as view:
        return view.session.exec(select(Mail)).one()


def read(path: Path) -> EmailMessage:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("template", ["welcome", "invite", "reset"])
def test_each_letter_carries_its_link(store: Store, tmp_path: Path, template: str, lang: Lang) -> None:
    settings = settings_of(tmp_path)
    secret = write(store, template, lang)
    assert postman.send_waiting(store, settings) == 1
    (path,) = (settings.data_dir / "mail").glob("*.eml")
    message = read(path)
    assert message["To"] == f"{template}@buyer.example"
    assert ("数港" in message["Subject"]) == (lang == "zh")
    assert f"{settings.public_url}/link/{secret}\n" in message.get_content()
    assert path.stat().st_mode & 0o077 == 0, "a letter holds a way in"


def test_a_letter_leaves_once_and_its_secret_is_forgotten(store: Store, tmp_path: Path) -> None:
    write(store)
    assert [postman.send_waiting(store, settings_of(tmp_path)) for _ in range(3)] == [1, 0, 0]
    assert row(store).sent_at is not None
    assert row(store).data == {}


def test_mail_is_a_slow_door(store: Store, tmp_path: Path) -> None:
    with store.unit("system:test") as unit:
        unit.record("thing.made", "thing:1")
        with pytest.raises(SlowInsideUnit):
            postman.send(settings_of(tmp_path), "mal_x", EmailMessage())


def test_a_dead_server_costs_attempts_and_waits_longer_each_time(store: Store, tmp_path: Path) -> None:
    dead = settings_of(tmp_path, f"smtp://127.0.0.1:{free_port()}")
    write(store)
    start = clock.now()
    minutes = []
    for minute in range(4 * 70):
        with clock.held(start + timedelta(minutes=minute)):
            before = row(store).failures
            assert postman.send_waiting(store, dead) == 0
            minutes += [minute] * (row(store).failures - before)
    assert minutes == [0, 1, 4, 16, 64, 256]
    assert row(store).sent_at is None
    with clock.held(start + timedelta(days=9)):
        for _ in range(9):
            postman.send_waiting(store, dead)
        assert row(store).failures == postman.MAX_ATTEMPTS
        assert postman.send_waiting(store, settings_of(tmp_path)) == 0, "given up, and still there to be seen"


def test_a_claimed_letter_is_left_to_its_carrier(store: Store, tmp_path: Path) -> None:
    write(store)
    seen = row(store)
    assert postman._claim(store, seen)
    assert not postman._claim(store, seen)
    assert postman.send_waiting(store, settings_of(tmp_path)) == 0


class Letterbox:
    """Keeps what the real SMTP server below accepted."""

    def __init__(self) -> None:
        self.letters: list[bytes] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        self.letters.append(envelope.content)
        return "250 OK"


@pytest.fixture
def smtp() -> Iterator[tuple[Letterbox, int]]:
    box = Letterbox()

    def known(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"post@man", b"p/w:1")
        return AuthResult(success=right)

    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=free_port(),
        authenticator=known,
        auth_require_tls=False,
    )
    controller.start()
    yield box, controller.port
    controller.stop()


def test_a_mail_server_gets_the_letter_after_the_password(
    store: Store, tmp_path: Path, smtp: tuple[Letterbox, int]
) -> None:
    box, port = smtp
    write(store)
    wrong = settings_of(tmp_path, f"smtp://post%40man:no@127.0.0.1:{port}")
    right = settings_of(tmp_path, f"smtp://post%40man:p%2Fw%3A1@127.0.0.1:{port}")
    assert postman.send_waiting(store, wrong) == 0
    with clock.held(clock.now() + timedelta(minutes=2)):
        assert postman.send_waiting(store, right) == 1
    assert len(box.letters) == 1
    message = email.message_from_bytes(box.letters[0], policy=email.policy.default)
    assert message["Subject"] == "重置您的数港密码"
