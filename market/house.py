"""House: everything with a lifetime, built once from Settings and handed down; no globals."""

import contextlib
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import structlog
from joserfc.jwk import OKPKey

from contracts import keyring
from market import logs
from market.billing.rail_stripe import StripeRail
from market.billing.rail_transfer import TransferRail
from market.billing.rails import Rail
from market.billing.rules import RailKind
from market.identity.queries import program_actor, role_names
from market.identity.rules import Actor
from market.refinery.cleanse import Workshop
from market.settings import Settings
from market.wiring import Context, effects
from metering.gateway.app import build_gateway
from metering.queries import credential
from metering.shelf import refuse_ended
from metering.tokens import AUD_API
from storage import dispatch, journal, migrations
from storage.database import open_database
from storage.kernel import clock, workdays
from storage.kernel.problem import Unavailable
from storage.objects import open_objects
from storage.seal import Seal
from storage.tabular.kinds import Limits as TabularLimits
from storage.unit import Store

log = structlog.get_logger()


class House:
    """One process's share of the market: settings, database, objects, and the pulse of the journal."""

    def __init__(self, settings: Settings) -> None:
        logs.configure()
        self.settings = settings.settled()
        self.database = open_database(self.settings.storage)
        self.store = Store(self.database)
        self.store.role_of = role_names
        self.objects = open_objects(self.settings.storage.objects_url)
        self.incoming = self.settings.data_dir / "incoming"
        self.incoming.mkdir(parents=True, exist_ok=True)
        self.work = self.settings.data_dir / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.workshop = Workshop(
            folder=self.work,
            salt=Seal(self.secret, "mask").derived,
            limits=TabularLimits(
                columns=self.settings.limits.columns,
                xlsx_bytes=self.settings.limits.xlsx_bytes,
                memory_bytes=self.settings.limits.run_memory_mb << 20,
                seconds=self.settings.limits.run_seconds,
            ),
        )
        self.documents = Seal(self.secret, "documents")
        self.effects: tuple[dispatch.Reaction | dispatch.Errand[Context], ...] = effects(
            self.settings.timezone
        )
        self.answered: Counter[tuple[str, int]] = Counter()  # (plane, status) since the start, for /metrics
        self.queue: Callable[..., None] | None = None  # until a worker is at hand
        self.gateway = build_gateway(
            self.store,
            self.objects,
            self.settings.metering,
            public_url=self.settings.public_url,
            zone=self.settings.timezone,
            folder=self.settings.data_dir / "cache",
        )
        self._stripe: StripeRail | None = None
        self.pulse = Pulse(self)

    @property
    def secret(self) -> str:
        """The key that seals second factors and signing keys."""
        return self.settings.secret_key.get_secret_value()

    def send(self, task: str, *arguments: str) -> None:
        """Ask the queue to run a task; without one the clock of another process finds it later."""
        if self.queue is not None:
            self.queue(task, *arguments)

    def document_key(self) -> OKPKey:
        """The key that signs contracts, certificates, invoices and statements now."""
        return keyring.signing_key(self.store, self.documents)

    def rail(self, kind: RailKind) -> Rail:
        """支付通道. The rail asked for, opened once. Raises RailUnavailable when it is not set up."""
        if kind is RailKind.BANK_TRANSFER:
            return TransferRail(self.settings.billing.bank_account)
        if self._stripe is None:
            self._stripe = StripeRail(self.settings.stripe)
        return self._stripe

    def migrate(self) -> None:
        """Bring the schema to the newest revision."""
        migrations.upgrade(self.database)

    def program_of(self, token: str, address: str) -> Actor:
        """The program behind an API token, acting for its organization. Raises InvalidToken, Unavailable."""
        plane = self.gateway.plane
        if plane is None:
            raise Unavailable
        if plane.keys.stale:
            plane.keys.refresh()  # a dropped key is dropped here, too
        access = plane.verifier.access(token, audience=AUD_API, now=clock.now(), address=address)
        with self.store.view() as view:
            refuse_ended(view, access)
            return program_actor(view, credential(view, access.client_id))

    def sweep_scratch(self, older: timedelta) -> None:
        """Remove what killed uploads and runs left behind more than `older` ago."""
        limit = clock.now().timestamp() - older.total_seconds()
        for path in (*self.incoming.iterdir(), *self.work.iterdir()):
            if path.stat().st_mtime > limit:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop the pulse and close every connection."""
        self.pulse.stop()
        if self._stripe is not None:
            self._stripe.end()
        self.database.close()


class Pulse:
    """Seals the journal and runs what follows, woken by each commit; a slow beat is only the net.

    One pulse at a time does the work of a database: sealing locks the head, reactions lock their
    cursor, so several processes may run it and the work is still done once.
    """

    BEAT_SECONDS = 0.25

    def __init__(self, house: House) -> None:
        self._house = house
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        house.store.on_commit(self._wake.set)

    def start(self) -> None:
        """Begin to beat in a thread of this process."""
        self._stop.clear()
        self._threads = [threading.Thread(target=self._run, name="pulse", daemon=True)]
        if not self._house.database.is_sqlite:
            self._threads.append(threading.Thread(target=self._listen, name="pulse-listen", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish the present beat and end."""
        self._stop.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(10)
        self._threads = []

    def beat(self) -> int:
        """Seal and dispatch until nothing is left. Returns how many reactions ran."""
        taken = 0
        while True:
            sealed = journal.seal(self._house.store)
            done = dispatch.dispatch(self._house.store, self._house.effects, self._house)
            taken += done
            if not sealed and not done:
                return taken

    def _run(self) -> None:
        workdays.prepare()
        while not self._stop.is_set():
            self._wake.wait(self.BEAT_SECONDS)
            self._wake.clear()
            try:
                self.beat()
            except Exception as error:  # noqa: BLE001  # the database may be away; the next beat tries again
                log.warning("pulse missed a beat", error=repr(error))
                self._stop.wait(1)

    def _listen(self) -> None:
        """PostgreSQL tells of commits made by other processes."""
        url = self._house.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while not self._stop.is_set():
            with (
                contextlib.suppress(psycopg.OperationalError),
                psycopg.connect(url, autocommit=True) as connection,
            ):
                connection.execute("LISTEN shugang_journal")
                while not self._stop.is_set():
                    for _note in connection.notifies(timeout=1, stop_after=1):
                        self._wake.set()
            self._stop.wait(1)


def health(house: House) -> dict[str, Any]:
    """What /readyz shows: the database's answer time (ms), the schema, the journal's lag."""
    seconds = house.database.ping()
    return {
        "database": house.database.url.get_backend_name(),
        "database_ms": round(seconds * 1000, 2),
        "schema_current": migrations.is_current(house.database),
        "lag": dispatch.lag(house.store, house.effects),
    }
