"""Asked again within a second: who was judged a moment ago is not judged twice, whatever is asked.

The till still judges every charge exactly: license, limits, purpose, credential, revocation, charge key.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

from starlette.requests import Request
from starlette.types import Scope

from metering.booking import Answer
from metering.burst import Allowance
from metering.gate import Charge, Receipt, charge_key, event_id
from metering.gateway.answers import PRIVATE, WholeAnswer, paid_head
from metering.gateway.flights import Flights
from metering.gateway.pages import PageDesk, Question, Ready
from metering.gateway.plane import Plane
from metering.problems import ChargeKeyReused, NotOnShelf
from metering.queries import charged
from metering.shelf import Goods
from metering.tables import UsageEvent
from metering.tokens import Access
from metering.words import Kind
from storage.kernel import clock
from storage.kernel.problem import Invalid, Problem, Unavailable

_MOST = 4096
_LONGEST = 4200  # bytes of a header with the longest token there is; more is blanks
_UNCHARGED = b""  # instead of a charge key, which is never empty
_SOON = 0.3  # seconds before the end at which it is judged anew, so that those who ask all the time never wait for it


class Asker(NamedTuple):
    """Who may ask for rows of a product: the bearer of a token, until a moment of the monotonic clock."""

    access: Access
    goods: Goods
    until: float


Judge = Callable[[Request, str], Awaitable[Asker]]
"""Judges a request for a product by what stands in the books now. Raises what refuses it."""


class Again:
    """再次提问. Who was allowed a moment ago, by the exact words of token and path."""

    def __init__(self, plane: Plane, desk: PageDesk, judge: Judge) -> None:
        self._plane = plane
        self._till = plane.till
        self._burst = plane.paid_burst
        self._desk = desk
        self._judge = judge
        self._known: dict[tuple[bytes, str], Asker] = {}
        self._renewals: Flights[None] = Flights()
        self._looking: Flights[None] = Flights()

    def begin(self, scope: Scope, told: Callable[[WholeAnswer | Problem], object]) -> bool:
        """Charge a page that is at hand and call back with it, or say no: then it is looked at from the beginning.

        Raises what refuses before the till does.
        """
        authorization, accept, given = _named(scope)
        name = (authorization, scope["path"])
        asker = self._known.get(name)
        if asker is None or given == _UNCHARGED or (left := asker.until - time.monotonic()) <= 0:
            return False
        if left < _SOON:
            self._renewals.begin(name, lambda: self._renew(name, scope))
        if not self._burst.has_left(asker.access.client_id):
            return False  # nothing is read for who has to wait
        question = self._desk.question_at_hand(scope["query_string"], accept.decode("latin-1"), asker.goods)
        ready = None if question is None else self._desk.page_at_hand(question)
        if question is None or ready is None:
            return False

        def paid(answer: Answer) -> None:
            if isinstance(answer, Receipt):
                told(_page(ready, allowance, answer))
            elif isinstance(answer, ChargeKeyReused) and asker.goods.pinned is None:
                self._looking.begin(object(), looked_back)
            else:
                told(answer)

        async def looked_back() -> None:
            text = scope["query_string"], accept.decode("latin-1")
            told_of: WholeAnswer | Problem = Unavailable()
            try:
                told_of = await self.pay(asker, text, question, ready, key, allowance)
            except Problem as problem:
                told_of = problem
            finally:
                told(told_of)

        allowance = self._burst.take(asker.access.client_id)
        key = None if given is None else charge_key(given.decode("latin-1"))
        self._till.submit(_charge(asker.access, question, ready, key), paid)
        return True

    async def pay(
        self,
        asker: Asker,
        text: tuple[bytes, str],
        question: Question,
        ready: Ready,
        key: str | None,
        allowance: Allowance,
    ) -> WholeAnswer:
        """计费后作答. Charge the page durably; only then is there an answer. Raises what the till refuses with.

        text: query string and Accept, to ask again for a version that was paid for before a newer one came.
        """
        try:
            receipt = await self._till.charge_async(_charge(asker.access, question, ready, key))
        except ChargeKeyReused:
            former = None if asker.goods.pinned is not None else await self._paid_before(asker, text, key)
            if former is None:
                raise
            ready = await self._desk.page(former)
            receipt = await self._till.charge_async(_charge(asker.access, former, ready, key))
        return _page(ready, allowance, receipt)

    async def _paid_before(self, asker: Asker, text: tuple[bytes, str], key: str | None) -> Question | None:
        """The same question of the version its charge was made for."""
        plane, goods = self._plane, asker.goods
        event, versions = await plane.in_thread(self._booked, asker, key)
        for version in versions:
            try:
                former = await self._desk.question(*text, goods._replace(pinned=version))
            except (Invalid, NotOnShelf):  # that version has no such column, or the cursor is of another one
                continue
            if event is not None and former.fingerprint == event.fingerprint:
                return former
        return None

    def _booked(self, asker: Asker, key: str | None) -> tuple[UsageEvent | None, list[int]]:
        plane = self._plane
        since = clock.now() - timedelta(hours=plane.settings.resume_hours)
        with plane.store.view() as view:
            event = charged(view, event_id(asker.access.license_id or "", key or ""))
        return event, plane.shelf.versions_since(asker.goods.product_id, since)

    def remember(self, scope: Scope, asker: Asker) -> None:
        """Keep who was allowed, at most until the end of the token.

        Not for tokens bound to addresses: the caller's address is judged each time.
        """
        authorization, _, _ = _named(scope)
        if asker.access.cidrs or len(authorization) > _LONGEST:
            return
        left = asker.access.expires_at - clock.now().timestamp()
        if len(self._known) >= _MOST:
            self._known.clear()
        until = min(asker.until, time.monotonic() + left)
        self._known[authorization, scope["path"]] = asker._replace(until=until)

    async def _renew(self, name: tuple[bytes, str], scope: Scope) -> None:
        try:
            self.remember(scope, await self._judge(Request(scope), scope["path"].split("/")[3]))
        except Exception:  # noqa: BLE001  # who asks next hears why
            self._known.pop(name, None)


def _charge(access: Access, question: Question, ready: Ready, key: str | None) -> Charge:
    return Charge(
        access.license_id or "",
        access.product_id or "",
        access.client_id,
        access.jti,
        access.purpose,
        Kind.ROWS,
        key,
        question.fingerprint,
        1,
        ready.rows,
        len(ready.body),
        hit=not question.query.limit,  # who only counts has found out what there is
    )


def _page(ready: Ready, allowance: Allowance, receipt: Receipt) -> WholeAnswer:
    """A page whose charge is durable."""
    head = ready.head + PRIVATE + paid_head(allowance, receipt)
    if receipt.left_calls is not None:
        head += b"x-quota-remaining: %d\r\n" % receipt.left_calls
    if receipt.left_rows is not None:
        head += b"x-quota-remaining-rows: %d\r\n" % receipt.left_rows
    return WholeAnswer(head, ready.body)


def _named(scope: Scope) -> tuple[bytes, bytes, bytes | None]:
    """Authorization, accept and charge key; the first of each. `_UNCHARGED` when more is asked for than a page."""
    authorization = accept = b""
    given = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = authorization or value
        elif name == b"accept":
            accept = accept or value
        elif name == b"idempotency-key":
            given = value if given is None else given
        elif name == b"if-none-match":
            return authorization, accept, _UNCHARGED
    return authorization, accept, given
