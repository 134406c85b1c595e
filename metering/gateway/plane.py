"""What every route of the gateway works with: store, till, keys, shelf, files, limits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from starlette.requests import Request

from metering.afterwards import Afterwards
from metering.burst import Allowance, Burst
from metering.copies import ServingCopies
from metering.deliveries import DeliveryBook
from metering.gate import event_id
from metering.gateway.answers import address_of, bearer, neighborhood
from metering.gateway.flights import Flights
from metering.gateway.smallfiles import SmallFiles
from metering.gateway.spool import Spool
from metering.keys import KeyWatch, Seal
from metering.opencount import OpenCounter
from metering.problems import (
    AddressRefused,
    CallRefused,
    DeliveryRefused,
    InvalidToken,
    LicenseNotInForce,
    PurposeRefused,
    QueriesBusy,
    WrongAudience,
)
from metering.queries import charged, receipt_of
from metering.refusals import RefusalCounter
from metering.settings import MeteringSettings
from metering.shelf import Shelf
from metering.till import Till
from metering.tokens import Access, Verifier, named_key
from storage.kernel import clock
from storage.kernel.problem import Problem
from storage.objects import Objects
from storage.unit import Store

P = ParamSpec("P")
T = TypeVar("T")
# What is refused because the token, or what is sold, does not reach that far; a used-up quota is no attempt.
_BEYOND = (AddressRefused, CallRefused, DeliveryRefused, LicenseNotInForce, PurposeRefused, WrongAudience)
_WRITERS = 4  # more would only wait together for whoever writes now


class Plane:
    """数据面. Opened once per process; `close` settles what waits."""

    def __init__(
        self,
        store: Store,
        objects: Objects,
        settings: MeteringSettings,
        *,
        public_url: str,
        zone: str,
        folder: Path,
    ) -> None:
        self.store = store
        self.objects = objects
        self.settings = settings
        self.public_url = public_url.rstrip("/")
        self.issuer = self.public_url
        seal = self.seal = Seal(settings)
        self.cursor_key = seal.cursor_key
        self.keys = KeyWatch(store, seal)
        self._reading_keys: Flights[None] = Flights()
        self.verifier = Verifier(self.issuer, self.keys.ring)
        self.till = Till(store.database, settings, zone)
        self.shelf = Shelf(store)
        self.small_files = SmallFiles(objects)
        self.copies = ServingCopies(objects, folder / "serving", settings.serving_bytes)
        self.open_count = OpenCounter()
        self.refusals = RefusalCounter()
        self.deliveries = DeliveryBook()
        self.afterwards = Afterwards(store.database, self.open_count, self.refusals, self.deliveries)
        self.paid_burst = Burst(settings.paid_per_minute, "calls")
        self.repeat_burst = Burst(settings.repeats_per_minute, "repeats")
        self.open_burst = Burst(settings.open_per_minute, "open")
        self.token_burst = Burst(settings.open_per_minute, "token")
        self._threads = ThreadPoolExecutor(settings.query_threads, "gateway")
        self._file_threads = ThreadPoolExecutor(settings.file_threads, "gateway-files")
        self._writers = ThreadPoolExecutor(_WRITERS, "gateway-writes")
        self._slow_threads = ThreadPoolExecutor(settings.slow_queries, "gateway-slow")
        self._slow = 0
        self.spool = Spool(
            folder / "answers",
            held=settings.upstream_held_bytes,
            most=settings.upstream_waiting_bytes,
        )

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work that reads in the bounded pool."""
        return await _in(self._threads, work, *args, **kwargs)

    async def in_file_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what waits for a disk or an object store: a slow store holds up nobody but who reads from it."""
        return await _in(self._file_threads, work, *args, **kwargs)

    async def in_writing_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work that writes, apart from the rest: it may wait for others who write, and nobody who reads for it."""
        return await _in(self._writers, work, *args, **kwargs)

    async def in_slow_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work that may take seconds, apart from the rest. Raises QueriesBusy when too much waits."""
        if self._slow >= self.settings.slow_queries + self.settings.slow_queue:
            raise QueriesBusy
        self._slow += 1
        try:
            return await _in(self._slow_threads, work, *args, **kwargs)
        finally:
            self._slow -= 1

    def address(self, request: Request) -> str:
        """The caller's address."""
        return address_of(request, self.settings.trusted_proxies)

    def fair_use(self, request: Request, burst: Burst) -> Allowance:
        """Take one for who shows no token: by where the request comes from. Raises TooManyRequests."""
        return burst.take(neighborhood(self.address(request)))

    async def access(self, request: Request, audience: str) -> Access:
        """The verified access token of the request. Raises InvalidToken, WrongAudience, AddressRefused."""
        token = bearer(request)
        await self.know_key(token)
        return self.verifier.access(token, audience=audience, now=clock.now(), address=self.address(request))

    async def know_key(self, token: str) -> None:
        """Read the keys again when they are old, or when the token names one that may be new."""
        if self.keys.stale or self.keys.unsure(named_key(token)):
            await self._read_keys()

    async def seek_key(self, token: str) -> None:
        """As `know_key`, but an unknown key is looked for however lately the keys were read."""
        if self.keys.stale or self.keys.unknown(named_key(token)):
            await self._read_keys()

    def renew_keys(self) -> None:
        """Begin to read the keys again before they are old, so that those who start all the time never wait for it."""
        if self.keys.aging:
            self._reading_keys.begin("keys", self._refresh_keys)

    async def fresh_keys(self) -> None:
        """Read the keys again when they are old."""
        if self.keys.stale:
            await self._read_keys()

    async def _read_keys(self) -> None:
        """Once for all who find them old at the same time."""
        await self._reading_keys.join("keys", self._refresh_keys)

    async def _refresh_keys(self) -> None:
        await self.in_thread(self.keys.refresh)

    def name_receipt(self, refusal: LicenseNotInForce, license_id: str | None, key: str | None) -> None:
        """Tell who may be served no more what was charged under the key: a credit is for people to decide."""
        if key is None:
            return
        with self.store.view() as view:
            booked = charged(view, event_id(license_id or "", key))
        if booked is not None:
            refusal.members["receipt"] = receipt_of(booked)

    def count_refusal(self, problem: Problem, request: Request) -> None:
        """Count a refusal of what the bearer may not have, for those who watch for scope probing."""
        if not isinstance(problem, _BEYOND):
            return
        try:
            access = self.verifier.read(bearer(request), now=clock.now())
        except InvalidToken:
            return  # nobody we know
        self.refusals.count(access.client_id)

    def close(self) -> None:
        """Settle the waiting charges, write the open counters, stop the threads."""
        self.till.close()
        self.afterwards.close()
        self._threads.shutdown()
        self._file_threads.shutdown()
        self.spool.close()
        self._writers.shutdown()
        self._slow_threads.shutdown()
        self.copies.close()


async def _in(pool: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, lambda: work(*args, **kwargs))
