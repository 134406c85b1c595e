"""The same question by the same token within a second: what was judged a moment ago is not judged twice.

The till still judges every charge exactly: license, limits, purpose, credential, revocation, charge key.
"""

import time
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from metering.burst import Allowance, Burst
from metering.gate import Charge, Receipt, charge_key
from metering.gateway.pages import Question, Ready
from metering.till import Till
from metering.tokens import Access
from metering.words import Kind, Settled
from storage.kernel import clock

_MOST = 4096
_PRIVATE = (b"cache-control", b"private, no-cache")  # asked about each time: a license may have ended


class PaidAnswer:
    """A page whose charge is durable, on its way out; raw, because this is the path everybody waits for."""

    __slots__ = ("body", "headers", "status_code")

    def __init__(self, ready: Ready, allowance: Allowance, receipt: Receipt) -> None:
        self.status_code = 200
        self.body = ready.body
        headers = self.headers = [
            *ready.raw,
            _PRIVATE,
            *allowance.raw(),
            (b"x-charge-id", receipt.charge_id.encode()),
        ]
        if receipt.left_calls is not None:
            headers.append((b"x-quota-remaining", b"%d" % receipt.left_calls))
        if receipt.left_rows is not None:
            headers.append((b"x-quota-remaining-rows", b"%d" % receipt.left_rows))
        if receipt.outcome is Settled.DUPLICATE:
            headers.append((b"x-charge-duplicate", b"true"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI
        """Send it."""
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


@dataclass(frozen=True, slots=True)
class _Known:
    until: float  # on the monotonic clock
    access: Access
    question: Question
    ready: Ready


class Again:
    """再次提问. What was asked and allowed a moment ago, by the exact words of the request."""

    def __init__(self, till: Till, burst: Burst) -> None:
        self._till = till
        self._burst = burst
        self._known: dict[tuple[bytes | str, ...], _Known] = {}

    async def answer(self, scope: Scope) -> PaidAnswer | None:
        """The paid page, or None when the request has to be looked at from the beginning.

        Raises what the till and the burst limit refuse with.
        """
        if scope["method"] != "GET":
            return None
        named, given = _named(scope)
        known = self._known.get(named) if named is not None else None
        if known is None or time.monotonic() >= known.until:
            return None
        allowance = self._burst.take(known.access.client_id)
        key = None if given is None else charge_key(given.decode("latin-1"))
        return await self.pay(known.access, known.question, known.ready, key, allowance)

    async def pay(
        self, access: Access, question: Question, ready: Ready, key: str | None, allowance: Allowance
    ) -> PaidAnswer:
        """计费后作答. Charge the page durably; only then is there an answer. Raises what the till refuses with."""
        charge = Charge(
            license_id=access.license_id or "",
            product_id=access.product_id or "",
            credential_id=access.client_id,
            jti=access.jti,
            purpose=access.purpose,
            kind=Kind.ROWS,
            key=key,
            fingerprint=question.fingerprint,
            calls=1,
            rows=ready.rows,
            size=len(ready.body),
        )
        return PaidAnswer(ready, allowance, await self._till.charge_async(charge))

    def remember(self, scope: Scope, access: Access, question: Question, ready: Ready, until: float) -> None:
        """Keep what was allowed until that moment of the monotonic clock, or the end of the token if that is sooner.

        Not for tokens bound to addresses: the caller's address is judged each time.
        """
        named, _ = _named(scope)
        if named is None or access.cidrs:
            return
        left = access.expires_at - clock.now().timestamp()
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[named] = _Known(min(until, time.monotonic() + left), access, question, ready)


def _named(scope: Scope) -> tuple[tuple[bytes | str, ...] | None, bytes | None]:
    """What tells this request from others, and its charge key; None for one that asks for more than a page."""
    authorization = accept = b""
    given = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value
        elif name == b"accept":
            accept = value
        elif name == b"idempotency-key":
            given = value
        elif name == b"if-none-match":
            return None, None
    return (authorization, scope["path"], scope["query_string"], accept), given
