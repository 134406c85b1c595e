"""收银台 The till: every waiting charge is settled in one commit, then answered.

No paid byte leaves before its charge is durable, and a refusal or failure charges nothing.

Whose turn it is: the event loop's, for a second thread would fight it for the interpreter over every line. On SQLite
the writer, a thread, only commits, and the loop waits for that a moment, as long as the disk is quick; with PostgreSQL
the loop holds a conversation and goes on meanwhile. When somebody else writes to SQLite the loop has the next turn. When
a turn held it too long, when others were quicker again and again or the conversation broke off, the writer settles whole
batches on its own.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from metering.booking import Answer, Booking
from metering.books import Asked, Books, PostgresBooks, SqliteBooks
from metering.conversation import Conversation, Exchange
from metering.gate import Charge, Receipt
from metering.problems import OutcomeUnknown, TillBusy
from metering.restraint import Restraint
from metering.settings import MeteringSettings
from metering.waiting import Told, Waiting, release, resolve
from storage.database import Database, answer_within
from storage.kernel import clock
from storage.kernel.problem import Problem, Unavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")
_IDLE_SECONDS = 0.005
_OUTRUN = 3  # turns in a row for which others were quicker to write: then the writer queues up with them
_ON_LOOP = 128  # charges decided in one turn on the loop, a few milliseconds of it
_LEAST_SAID = 16  # charges that are not worth two conversations
_PATIENCE_SECONDS = 0.002  # the loop waits for a commit; the one after a slower commit is not waited for
_HELD_SECONDS = 0.01  # a turn that is more work leaves the next ones to the writer
_LOOK_SECONDS = (
    1.0  # so long others are waited for; as often the writer looks whether the loop of an exchange still runs
)
_ANSWER_SECONDS = 20.0  # PostgreSQL has for an exchange, or the writer's statement; a lock takes 15 at most
RETRYABLE = {"40P01", "40001", "55P03"}  # deadlock, serialization, lock not available


@dataclass(slots=True)
class _Decided:
    """A batch decided and written, in a transaction that is still open."""

    batch: Sequence[Waiting]
    booking: Booking
    transaction: ExitStack | None  # closing it commits; None when COMMIT was said and no answer came


@dataclass(slots=True)
class _Turn:
    """What the loop decided and the writer commits."""

    decided: _Decided
    committed: threading.Lock  # held until then; who takes it then gives the answers
    answers: Sequence[Answer] = ()
    seconds: float = 0  # that the commit took
    left: bool = False  # the loop has gone on


class Till:
    """收银台. `charge` waits for the durable decision, `charge_async` does so on an event loop, `submit` calls back."""

    def __init__(
        self,
        database: Database,
        settings: MeteringSettings,
        zone: str = "Asia/Shanghai",
        now: Callable[[], datetime] = clock.now,
        *,
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> None:
        self._database = database
        self._answer_seconds = answer_seconds
        self._books: Books = SqliteBooks() if database.is_sqlite else PostgresBooks()
        self._most = settings.till_batch
        self._gather_ms = settings.till_gather_ms
        self._zone = zone
        self._now = now
        self._free = timedelta(hours=settings.resume_hours)
        self._queue: deque[Waiting] = deque()
        self._most_waiting = settings.till_queue
        self._wake = threading.Condition()
        self._wanted = 1  # how many waiting charges wake the writer
        self._called = False  # the writer, to settle what waits
        self._decided: _Turn | None = None  # for the writer to commit
        self._settling = threading.Lock()  # held by who takes charges, until these are committed or refused
        self._talk: Conversation | None = None  # with PostgreSQL, for the loop; the writer begins it
        self._exchange: Exchange | None = None  # in it, about the charges that are held
        self._asked: asyncio.AbstractEventLoop | None = None  # is about to take one,
        self._due: asyncio.TimerHandle | None = None  # then at the latest, unless before
        self._outrun = 0  # so many turns
        self._at_the_lock = ThreadPoolExecutor(1, "till-lock")  # waits for others who write, for the loop
        self._crowd = 1  # so many wait: as many as a moment ago
        self._turned_seconds: float = 0
        self._patience_seconds: float = _PATIENCE_SECONDS
        self._restraint = Restraint(_HELD_SECONDS)
        self._closing = False
        self._ended = False  # the writer
        self._writer = threading.Thread(target=self._run, name="till", daemon=True)
        self._writer.start()

    def charge(self, charge: Charge, timeout: float = 60.0) -> Receipt:
        """计费. Book the charge durably, or raise the refusal.

        Raises LicenseNotInForce, QuotaExhausted, SpendCapReached, PurposeRefused, InvalidToken (credential or
        token ended), ChargeKeyReused, ChargeKeyUsed, TicketExpired, TillBusy, Unavailable, OutcomeUnknown.
        """
        future: Future[Receipt] = Future()
        self._queue_up(Waiting(charge, partial(resolve, future), None))
        try:
            return future.result(timeout)
        except TimeoutError:
            raise OutcomeUnknown from None

    async def charge_async(self, charge: Charge) -> Receipt:
        """The same as `charge`, without blocking the event loop."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.submit(charge, partial(resolve, future))
        return await future

    def submit(self, charge: Charge, told: Told) -> None:
        """The same for who does not wait: `told` is called on the running loop with the receipt or the refusal.

        Raises TillBusy; then nothing was taken on.
        """
        self._queue_up(Waiting(charge, told, asyncio.get_running_loop()))

    @property
    def waiting(self) -> int:
        """Charges in the queue."""
        return len(self._queue)

    @property
    def alive(self) -> bool:
        """Whether the writer runs and takes charges."""
        return not (self._ended or self._closing)

    @property
    def talks(self) -> bool:
        """Whether there is a conversation for the loop."""
        return self._talk is not None

    def close(self) -> None:
        """Settle what waits, then stop."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._writer.join()
        self._at_the_lock.shutdown(wait=False)

    def _queue_up(self, waiting: Waiting) -> None:
        """Queue without the lock, which the writer may hold while it waits for the interpreter."""
        queue = self._queue
        if self._closing or len(queue) >= self._most_waiting:
            raise TillBusy
        queue.append(waiting)
        if waiting.loop is not None and (waiting.loop is self._asked or self._loop_may):
            self._ask(waiting.loop)
        elif (
            len(queue) >= self._wanted
        ):  # read after the append: the writer sets it before it looks at the queue
            self._call_writer()
        if self._ended:
            with contextlib.suppress(ValueError):  # taken meanwhile: then it is settled, too
                queue.remove(waiting)
                raise TillBusy

    def _take(self, most: int) -> list[Waiting]:
        return [self._queue.popleft() for _ in range(min(most, len(self._queue)))]

    def _hand_over(self, here: asyncio.AbstractEventLoop | None = None) -> None:
        """After a batch: who waits longest gets the next one. Their loop still runs; ours may be about to end."""
        with contextlib.suppress(IndexError):  # nobody waits
            loop = self._queue[0].loop
            if loop is None or not self._loop_may:
                self._call_writer()
            elif loop is here:
                self._ask(loop)
            else:
                try:
                    loop.call_soon_threadsafe(self._take_turn, loop)
                except RuntimeError:  # it has ended: nobody waits there any more, but others may
                    self._call_writer()

    # The loop

    @property
    def _loop_may(self) -> bool:
        return self._restraint.may if self._database.is_sqlite else self.talks

    def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        """For a turn: after what has arrived was read, and under load when about as many wait as a moment ago."""
        enough = len(self._queue) >= self._crowd
        if self._asked is not loop:
            self._asked = loop
            if enough or time.monotonic() - self._turned_seconds >= _IDLE_SECONDS:
                loop.call_soon(self._take_turn, loop)
            else:
                wait = self._gather_ms / 1000
                self._due = loop.call_later(wait, self._take_turn, loop)
        elif enough and self._due is not None:
            self._due.cancel()
            self._due = None
            loop.call_soon(self._take_turn, loop)

    def _take_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Decide what waits and have it committed. Who settles already looks at the queue afterwards."""
        self._asked = self._due = None
        if not self._queue or not self._settling.acquire(blocking=False):
            return
        if self._database.is_sqlite:
            self._decide_here(self._take(_ON_LOOP), loop)
        elif self._talk is not None and self._talk.is_for(loop):
            self._converse(self._talk, self._take(max(self._crowd, _LEAST_SAID)), loop)
        else:
            if self._talk is not None and self._talk.is_left:
                self._end_talk()
            self._settling.release()
            self._call_writer()

    def _converse(self, talk: Conversation, batch: list[Waiting], loop: asyncio.AbstractEventLoop) -> None:
        assert isinstance(self._books, PostgresBooks)
        ended = partial(self._end_exchange, batch)
        self._exchange = Exchange(talk, self._books, self._booking(batch), loop, ended)
        self._exchange.begin()

    def _end_exchange(self, batch: list[Waiting], exchange: Exchange) -> None:
        with self._wake:
            if self._exchange is not exchange:
                return  # the writer has ended it
            self._exchange = None
        if exchange.committed:
            self._turned_seconds = time.monotonic()
            # In halves: while the database works for one, the other is answered and asks again.
            self._crowd = min((len(batch) + len(self._queue) + 1) // 2, _ON_LOOP)
            self._settling.release()
            try:
                self._take_turn(exchange.loop)  # the database works while the answers are given
            finally:
                release(batch, exchange.booking.answers, exchange.loop)
            if self._closing:
                self._call_writer()
            return
        self._talk = None
        if exchange.committing and exchange.booking.events:
            with self._wake:
                self._decided = _Turn(_Decided(batch, exchange.booking, None), threading.Lock(), left=True)
                self._decided.committed.acquire()
                self._wake.notify()
        else:
            self._give_back(batch)

    def _give_back(self, batch: list[Waiting]) -> None:
        """To the front of the queue, for the writer."""
        self._queue.extendleft(reversed(batch))
        self._settling.release()
        self._call_writer()

    def _decide_here(self, batch: list[Waiting], loop: asyncio.AbstractEventLoop) -> None:
        try:
            with self._restraint:
                decided = self._decide(batch, wait=False)
        except Unavailable:  # somebody else writes
            self._stand_back(batch, loop)
            return
        except Exception as error:  # noqa: BLE001  # the disk is full: the writer knows what to do
            log.warning("till.turn_failed", charges=len(batch), error=type(error).__name__)
            self._give_back(batch)
            return
        self._outrun = 0
        turn = _Turn(decided, threading.Lock())
        turn.committed.acquire()
        with self._wake:
            self._decided = turn
            self._wake.notify()
        committed = turn.committed.acquire(timeout=self._patience_seconds)
        if not committed:
            turn.left = True
            committed = turn.committed.acquire(blocking=False)  # before it was known that we left
        if committed:
            self._end_turn(turn, loop)

    def _stand_back(self, batch: list[Waiting], loop: asyncio.AbstractEventLoop) -> None:
        """Leave it to others to write; a thread says when they are done."""
        if self._outrun == _OUTRUN or self._closing:
            self._give_back(batch)
            return
        self._outrun += 1
        self._asked = loop
        self._queue.extendleft(reversed(batch))
        self._settling.release()
        try:
            self._at_the_lock.submit(self._try_after_others, loop)
        except RuntimeError:  # no thread can be started
            self._asked = None
            self._call_writer()

    def _try_after_others(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the turn again when they are done. Holding their lock until the loop comes would keep more waiting."""
        try:
            self._database.wait_for_others(_LOOK_SECONDS)
        except (Unavailable, OSError):
            self._outrun = _OUTRUN  # the writer waits longer, and knows what to say
        try:
            loop.call_soon_threadsafe(self._take_turn, loop)
        except RuntimeError:  # it has ended
            self._call_writer()

    def _end_turn(self, turn: _Turn, here: asyncio.AbstractEventLoop | None) -> None:
        """Give the answers and go on with who came meanwhile."""
        self._turned_seconds = time.monotonic()
        self._crowd = min(len(turn.decided.batch) + len(self._queue), _ON_LOOP)
        self._patience_seconds = _PATIENCE_SECONDS if turn.seconds < _PATIENCE_SECONDS else 0
        release(turn.decided.batch, turn.answers, here)
        self._hand_over(here)

    # The writer

    def _call_writer(self) -> None:
        with self._wake:
            self._called = True
            self._wake.notify()

    def _run(self) -> None:
        crowd = 1
        answer_within(self._answer_seconds)
        try:
            self._begin_talk()
            while work := self._next(crowd):
                if isinstance(work, _Turn):
                    self._commit_turn(work)
                else:
                    answers = _surely(self._settle, work, len(work))
                    crowd = len(work) + len(self._queue)  # whoever is answered now asks again soon
                    self._settling.release()
                    release(work, answers)
                    if not isinstance(answers[0], Unavailable):
                        self._begin_talk()
                    self._wanted = 1  # before we look: who comes later calls
                    self._hand_over()
        finally:
            self._ended = True
            self._end_talk()
            with contextlib.suppress(IndexError):  # nobody came while we ended, or they have left again
                while True:
                    release([self._queue.popleft()], [TillBusy()])

    def _begin_talk(self) -> None:
        if self._talk is not None or self._database.is_sqlite or self._closing:
            return
        try:
            self._talk = Conversation(self._database.apart())
        except Exception as error:  # noqa: BLE001  # then the writer settles
            log.warning("till.no_conversation", error=type(error).__name__)

    def _end_talk(self) -> None:
        if self._talk is not None:
            self._talk.end()
            self._talk = None

    def _next(self, crowd: int) -> _Turn | list[Waiting] | None:
        """A turn to commit, a batch to settle, or None at the end; then no other turn begins."""
        with self._wake:
            asleep = time.monotonic()
            self._wanted = 1
            while True:
                if self._decided is not None:
                    turn, self._decided = self._decided, None
                    return turn
                mine = bool(self._queue) and (self._called or self._closing or not self._loop_may)
                if (mine or self._closing) and self._settling.acquire(blocking=False):
                    self._called = False
                    if self._queue:
                        return self._gather(crowd, asleep)
                    if self._closing:
                        return None
                    self._settling.release()  # a loop has taken them meanwhile
                exchange = self._exchange
                if exchange is None or self._goes_on(exchange.loop):
                    if exchange is not None and time.monotonic() - exchange.began > self._answer_seconds:
                        _break_off_there(exchange)
                    self._wake.wait(None if self._database.is_sqlite else _LOOK_SECONDS)
                else:
                    exchange.break_off()

    def _goes_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it will hear an answer. One that only stands still is waited for, but not at the end."""
        return not loop.is_closed() and (loop.is_running() or not self._closing)

    def _gather(self, crowd: int, asleep: float) -> list[Waiting]:
        """Everything that waits; under load, up to two milliseconds for about as many as there were a moment ago."""
        most = self._most
        if crowd > 1 and time.monotonic() - asleep < _IDLE_SECONDS:
            self._wanted = min(crowd, most)
            deadline = time.monotonic() + self._gather_ms / 1000
            while len(self._queue) < self._wanted and (left := deadline - time.monotonic()) > 0:
                self._wake.wait(left)
        self._wanted = most + self._most_waiting  # nobody needs to wake a writer at work
        return self._take(most)

    def _commit_turn(self, turn: _Turn) -> None:
        start = time.monotonic()
        turn.answers = _surely(self._commit, turn.decided, len(turn.decided.batch))
        turn.seconds = time.monotonic() - start
        self._settling.release()
        turn.committed.release()
        # The loop that left may have ended, if nobody of the batch waits there.
        if turn.left and turn.committed.acquire(blocking=False):
            self._end_turn(turn, None)

    def _settle(self, batch: Sequence[Waiting]) -> list[Answer]:
        for last in (False, True):
            try:
                return self._commit(self._decide(batch, wait=True))
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

    def _decide(self, batch: Sequence[Waiting], *, wait: bool) -> _Decided:
        """Decide and write. Raises Unavailable when others write for too long, or write at all and we do not wait."""
        booking = self._booking(batch)
        with ExitStack() as transaction:
            booking.book(transaction.enter_context(self._database.writing(wait=wait)))
            return _Decided(batch, booking, transaction.pop_all())

    def _booking(self, batch: Sequence[Waiting]) -> Booking:
        charges = [waiting.charge for waiting in batch]
        return Booking(self._books, charges, self._now(), self._zone, self._free)

    def _commit(self, decided: _Decided) -> list[Answer]:
        booking = decided.booking
        if decided.transaction is None:
            return self._after_lost_commit(booking)
        try:
            decided.transaction.close()
        except DBAPIError:
            if not booking.events:
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
            except (SQLAlchemyError, Unavailable):
                continue
            # Another gateway may have booked the same key meanwhile: that purchase is not this one.
            present = {id_ for id_, booked in found.items() if booked.receipt.at == booking.now}
            return [
                Unavailable() if isinstance(answer, Receipt) and answer.id not in present else answer
                for answer in booking.answers
            ]
        return [OutcomeUnknown() if isinstance(answer, Receipt) else answer for answer in booking.answers]


def _break_off_there(exchange: Exchange) -> None:
    """By its own loop: a server that stands still must not keep the charges."""
    with contextlib.suppress(RuntimeError):  # it has ended meanwhile
        exchange.loop.call_soon_threadsafe(exchange.break_off)


def _surely(settle: Callable[[T], Sequence[Answer]], work: T, charges: int) -> Sequence[Answer]:
    """An answer for every charge, whatever happens."""
    try:
        return settle(work)
    except Exception:
        log.exception("till.failed", charges=charges)
        return [Unavailable() for _ in range(charges)]
