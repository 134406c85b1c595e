"""收银台 The till: one writer per process settles every waiting charge in one commit, then answers.

No paid byte leaves before its charge is durable, and a refusal or failure charges nothing.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError

from metering.booking import Answer, Booking
from metering.books import Asked, Books, PostgresBooks, SqliteBooks
from metering.gate import Charge, Receipt
from metering.problems import OutcomeUnknown, TillBusy
from metering.settings import MeteringSettings
from storage.database import Database
from storage.kernel import clock
from storage.kernel.problem import Problem, Unavailable

log = structlog.get_logger(__name__)

Told = Callable[[Answer], None]
_IDLE_SECONDS = 0.005
RETRYABLE = {"40P01", "40001", "55P03"}  # deadlock, serialization, lock not available


@dataclass(slots=True)
class _Waiting:
    """A charge in the queue and who is told: on that event loop, or by the writer itself."""

    charge: Charge
    told: Told
    loop: asyncio.AbstractEventLoop | None


class Till:
    """收银台. `charge` waits for the durable decision, `charge_async` does so on an event loop, `submit` calls back."""

    def __init__(
        self,
        database: Database,
        settings: MeteringSettings,
        zone: str = "Asia/Shanghai",
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._database = database
        self._books: Books = SqliteBooks() if database.is_sqlite else PostgresBooks()
        self._most = settings.till_batch
        self._gather_ms = settings.till_gather_ms
        self._zone = zone
        self._now = now
        self._free = timedelta(hours=settings.resume_hours)
        self._queue: deque[_Waiting] = deque()
        self._most_waiting = settings.till_queue
        self._wake = threading.Condition()
        self._wanted = 1  # how many waiting charges wake the writer
        self._closing = False
        self._writer = threading.Thread(target=self._run, name="till", daemon=True)
        self._writer.start()

    def charge(self, charge: Charge, timeout: float = 60.0) -> Receipt:
        """计费. Book the charge durably, or raise the refusal.

        Raises LicenseNotInForce, QuotaExhausted, SpendCapReached, PurposeRefused, InvalidToken (credential or
        token ended), ChargeKeyReused, ChargeKeyUsed, TicketExpired, TillBusy, Unavailable, OutcomeUnknown.
        """
        future: Future[Receipt] = Future()
        self._queue_up(_Waiting(charge, partial(_resolve, future), None))
        try:
            return future.result(timeout)
        except TimeoutError:
            raise OutcomeUnknown from None

    async def charge_async(self, charge: Charge) -> Receipt:
        """The same as `charge`, without blocking the event loop."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.submit(charge, partial(_resolve, future))
        return await future

    def submit(self, charge: Charge, told: Told) -> None:
        """The same for who does not wait: `told` is called on the running loop with the receipt or the refusal.

        Raises TillBusy; then nothing was taken on.
        """
        self._queue_up(_Waiting(charge, told, asyncio.get_running_loop()))

    @property
    def waiting(self) -> int:
        """Charges in the queue."""
        return len(self._queue)

    @property
    def alive(self) -> bool:
        """Whether the writer runs and takes charges."""
        return self._writer.is_alive() and not self._closing

    def close(self) -> None:
        """Settle what waits, then stop."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._writer.join()

    def _queue_up(self, waiting: _Waiting) -> None:
        """Queue without the lock, which the writer may hold while it waits for the interpreter."""
        queue = self._queue
        if self._closing or len(queue) >= self._most_waiting:
            raise TillBusy
        queue.append(waiting)
        if (
            len(queue) >= self._wanted
        ):  # read after the append: the writer sets it before it looks at the queue
            with self._wake:
                self._wake.notify()
        if not self.alive:
            with contextlib.suppress(ValueError):  # taken meanwhile: then it is settled, too
                queue.remove(waiting)
                raise TillBusy

    def _run(self) -> None:
        crowd = 1
        while batch := self._gather(crowd):
            size = len(batch)
            try:
                answers = self._settle(batch)
            except Exception:
                log.exception("till.failed", charges=size)
                answers = [Unavailable() for _ in batch]
            crowd = size + len(self._queue)  # whoever is answered now asks again soon
            _release(batch, answers)

    def _gather(self, crowd: int) -> list[_Waiting]:
        """Everything that waits; under load, up to two milliseconds for about as many as there were a moment ago."""
        with self._wake:
            asleep = time.monotonic()
            self._wanted = 1
            while not self._queue:
                if self._closing:
                    return []
                self._wake.wait()
            most = self._most
            if crowd > 1 and time.monotonic() - asleep < _IDLE_SECONDS:
                self._wanted = min(crowd, most)
                deadline = time.monotonic() + self._gather_ms / 1000
                while len(self._queue) < self._wanted and (left := deadline - time.monotonic()) > 0:
                    self._wake.wait(left)
            self._wanted = most + self._most_waiting  # nobody needs to wake a writer at work
            return [self._queue.popleft() for _ in range(min(most, len(self._queue)))]

    def _settle(self, batch: Sequence[_Waiting]) -> list[Answer]:
        for last in (False, True):
            try:
                return self._commit(batch)
            except DBAPIError as error:
                again = (
                    isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in RETRYABLE
                )
                if last or not again:
                    log.warning("till.refused_batch", charges=len(batch), error=type(error.orig).__name__)
                    break
            except Problem as problem:  # the queue of writers was too long
                return [problem] * len(batch)
        return [Unavailable() for _ in batch]

    def _commit(self, batch: Sequence[_Waiting]) -> list[Answer]:
        booking = Booking(
            self._books, [waiting.charge for waiting in batch], self._now(), self._zone, self._free
        )
        committing = False
        try:
            with self._database.writing() as connection:
                booking.book(connection)
                committing = bool(booking.events)
        except DBAPIError:
            if not committing:
                raise
            return self._after_lost_commit(booking)
        return booking.answers

    def _after_lost_commit(self, booking: Booking) -> list[Answer]:
        """COMMIT was sent and no answer came: the books tell whether it happened.

        They are asked under the lock of the same gates: a COMMIT still on its way holds it, and without it
        was once answered "nothing was charged" before it arrived.
        """
        ids = {event[0] for event in booking.events}
        licenses = {event[1] for event in booking.events}
        for pause in (0.0, 0.2, 1.0):
            time.sleep(pause)
            try:
                with self._database.writing() as connection:
                    found = self._books.look(connection, Asked(licenses, set(), set(), ids, "")).booked
            except (DBAPIError, Unavailable):
                continue
            # Another gateway may have booked the same key meanwhile: that purchase is not this one.
            present = {id_ for id_, booked in found.items() if booked.receipt.at == booking.now}
            return [
                Unavailable() if isinstance(answer, Receipt) and answer.id not in present else answer
                for answer in booking.answers
            ]
        return [OutcomeUnknown() if isinstance(answer, Receipt) else answer for answer in booking.answers]


def _release(batch: Sequence[_Waiting], answers: Sequence[Answer]) -> None:
    """Hand every answer over; one wake-up per event loop, not one per answer."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Told, Answer]]] = {}
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.loop is None:
            waiting.told(answer)
        else:
            loops.setdefault(waiting.loop, []).append((waiting.told, answer))
    for loop, handed in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(_tell, handed)


def _tell(handed: Sequence[tuple[Told, Answer]]) -> None:
    for told, answer in handed:
        try:
            told(answer)
        except Exception:  # one answer that cannot be given must not keep the others
            log.exception("till.untold")


def _resolve(future: "Future[Receipt] | asyncio.Future[Receipt]", answer: Answer) -> None:
    if future.done():
        return  # the client went away; the charge stands and its key serves the answer again
    if isinstance(answer, Problem):
        future.set_exception(answer)
    else:
        future.set_result(answer)
