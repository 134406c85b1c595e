"""A real market in a process of its own, on a free port with its own data folder."""

import email
import email.policy
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from types import MappingProxyType

from market.house import House
from market.identity import actions, entrance, passwords
from market.identity.actions import PartyForm
from market.identity.queries import party, user_by_login
from market.identity.rules import OrgKind, Role
from market.settings import Settings
from storage.kernel.numbers import make_uscc
from storage.kernel.words import Lang
from storage.settings import StorageSettings
from tests import servers

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "long enough for anybody"


class Stage:
    """A market to act on: its address, and a house of our own on the same database for what no page does."""

    def __init__(self, url: str, data_dir: Path, house: House) -> None:
        self.url, self.data_dir, self.house = url, data_dir, house

    def institution(self, name: str, kind: OrgKind, body: str) -> str:
        """A verified organization of `kind`; body: 17 characters of its USCC. Returns its id."""
        form = PartyForm(name=name, id_number=make_uscc(body), org_kind=kind, address="1 Shili Road, Qingdao")
        with self.house.store.unit("system:test") as unit:
            row = actions.register_party(unit, form)
            actions.verify_at_birth(unit, row, "test")
            return row.id

    def person(self, login: str, name: str, party_id: str, *roles: Role, lang: Lang = "zh") -> str:
        """A member with PASSWORD who has these roles. Returns the secret for one-time codes (always bound)."""
        hashed = passwords.hash_password(PASSWORD)
        secret = passwords.new_totp()
        sealed = passwords.seal_totp(secret, self.house.secret)
        with self.house.store.unit("system:test") as unit:
            known = user_by_login(unit, login)
            user = known or actions.create_user(unit, login=login, name=name, password_hash=hashed, lang=lang)
            if known is None:
                user.totp_sealed = sealed
            actions.add_member(
                unit, user.id, party(unit, party_id), frozenset(roles), invited_by="system:test"
            )
        return secret

    def session(self, login: str, secret: str) -> str:
        """The session cookie of a person, as if they had signed in (with their one-time code)."""
        with self.house.store.unit("system:test") as unit:  # the same code may be used again and again here
            user = user_by_login(unit, login)
            assert user is not None
            user.totp_step = 0
            unit.record("user.totp_step_reset", f"user:{user.id}")
        cookie, _session = entrance.sign_in(
            self.house.store, self.house.secret, login, PASSWORD, passwords.totp_now(secret)
        )
        return cookie

    def mails(self) -> list[str]:
        """The messages kept so far, oldest first, as they were written to disk."""
        out = []
        for path in sorted((self.data_dir / "mail").glob("*.eml")):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            body = message.get_body(("plain",))
            assert body is not None
            out.append(f"{message['To']}\n{message['Subject']}\n{body.get_content()}")
        return out


class Server(Stage):
    """A running market: its address, its data folder, and a house of our own on the same database."""

    def __init__(
        self, data_dir: Path, *, environment: Mapping[str, str] = MappingProxyType({}), **settings: str
    ) -> None:
        port = servers.free_port()
        # relative, as the default is: nothing may depend on where a process stands
        given = {
            "DATA_DIR": os.path.relpath(data_dir, ROOT),
            "PORT": str(port),
            "REGISTRY__NOTICE_DAYS": "0",
            **settings,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SHUGANG_")}
        named = {f"SHUGANG_{name}": value for name, value in given.items()}
        self._environment = inherited | named | dict(environment)
        data_dir.mkdir(parents=True, exist_ok=True)
        self._log = data_dir / "server.log"
        self.url = f"http://127.0.0.1:{port}"
        self.start()
        database = StorageSettings(database_url=settings.get("STORAGE__DATABASE_URL", ""))
        super().__init__(self.url, data_dir, House(Settings(data_dir=data_dir, port=port, storage=database)))

    def start(self) -> None:
        """Run `shugang serve` until it answers; after `kill`, again on the same data and address. Raises RuntimeError with the end of its log."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "market.cli", "serve"],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        if not servers.wait_for(f"{self.url}/readyz", self.process, seconds=120):
            self.kill()
            raise RuntimeError(f"the market did not start: {self.log()[-2000:]}")

    def program(self, *arguments: str) -> str:
        """What `shugang …` prints about this market, run beside the server. Raises CalledProcessError."""
        command = [sys.executable, "-m", "market.cli", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def kill(self) -> None:
        """SIGKILL: nothing is finished, flushed or said goodbye to."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End in good order."""
        self.house.close()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()

    def log(self) -> str:
        """What the server has written so far, over all its starts."""
        return self._log.read_text(errors="replace")


@contextmanager
def live_server(
    data_dir: Path, *, environment: Mapping[str, str] = MappingProxyType({}), **settings: str
) -> Iterator[Server]:
    """Start `shugang serve` on a free port with SHUGANG_{name}=value settings; stop it afterwards."""
    server = Server(data_dir, environment=environment, **settings)
    try:
        yield server
    finally:
        server.stop()
