"""Asked again within a second: who was judged a moment ago is not judged twice, whatever is asked.

The till still judges every charge exactly: license, limits, purpose, credential, revocation, charge key.
"""

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.requests import Request
from starlette.types import Scope

from metering.booking import Answer
from metering.burst import Allowance, Burst
from metering.gate import Charge, Receipt, charge_key
from metering.gateway.answers import PRIVATE, WholeAnswer, paid_head
from metering.gateway.flights import Flights
from metering.gateway.pages import PageDesk, Question, Ready
from metering.shelf import Goods
from metering.till import Till
from metering.tokens import Access
from metering.words import Kind
from storage.kernel import clock
from storage.kernel.problem import Problem

_MOST = 4096
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

    def __init__(self, till: Till, burst: Burst, desk: PageDesk, judge: Judge) -> None:
        self._till = till
        self._burst = burst
        self._desk = desk
        self._judge = judge
        self._known: dict[tuple[bytes, str], Asker] = {}
        self._renewals: Flights[None] = Flights()

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
            told(_page(ready, allowance, answer) if isinstance(answer, Receipt) else answer)

        allowance = self._burst.take(asker.access.client_id)
        key = None if given is None else charge_key(given.decode("latin-1"))
        self._till.submit(_charge(asker.access, question, ready, key), paid)
        return True

    async def pay(
        self, access: Access, question: Question, ready: Ready, key: str | None, allowance: Allowance
    ) -> WholeAnswer:
        """计费后作答. Charge the page durably; only then is there an answer. Raises what the till refuses with."""
        receipt = await self._till.charge_async(_charge(access, question, ready, key))
        return _page(ready, allowance, receipt)

    def remember(self, scope: Scope, asker: Asker) -> None:
        """Keep who was allowed, at most until the end of the token.

        Not for tokens bound to addresses: the caller's address is judged each time.
        """
        if asker.access.cidrs:
            return
        left = asker.access.expires_at - clock.now().timestamp()
        if len(self._known) >= _MOST:
            self._known.clear()
        authorization, _, _ = _named(scope)
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
