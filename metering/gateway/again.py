"""The same question by the same token within a second: what was judged a moment ago is not judged twice.

The till still judges every charge exactly: license, limits, purpose, credential, revocation, charge key.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Scope

from metering.booking import Answer
from metering.burst import Allowance, Burst
from metering.gate import Charge, Receipt, charge_key
from metering.gateway.answers import WholeAnswer, paid_headers
from metering.gateway.pages import Question, Ready
from metering.till import Till
from metering.tokens import Access
from metering.words import Kind
from storage.kernel import clock
from storage.kernel.problem import Problem

_MOST = 4096
_PRIVATE = (b"cache-control", b"private, no-cache")  # asked about each time: a license may have ended


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

    def begin(self, scope: Scope, told: Callable[[WholeAnswer | Problem], object]) -> bool:
        """Charge the page and call back with it, or say no: then the request is looked at from the beginning.

        Raises what refuses before the till does.
        """
        named, given = _named(scope)
        known = self._known.get(named) if named is not None else None
        if known is None or time.monotonic() >= known.until:
            return False
        ready = known.ready

        def paid(answer: Answer) -> None:
            told(_page(ready, allowance, answer) if isinstance(answer, Receipt) else answer)

        allowance = self._burst.take(known.access.client_id)
        key = None if given is None else charge_key(given.decode("latin-1"))
        self._till.submit(_charge(known.access, known.question, ready, key), paid)
        return True

    async def pay(
        self, access: Access, question: Question, ready: Ready, key: str | None, allowance: Allowance
    ) -> WholeAnswer:
        """计费后作答. Charge the page durably; only then is there an answer. Raises what the till refuses with."""
        receipt = await self._till.charge_async(_charge(access, question, ready, key))
        return _page(ready, allowance, receipt)

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


def _charge(access: Access, question: Question, ready: Ready, key: str | None) -> Charge:
    return Charge(
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


def _page(ready: Ready, allowance: Allowance, receipt: Receipt) -> WholeAnswer:
    """A page whose charge is durable."""
    headers = [*ready.raw, _PRIVATE, *paid_headers(allowance, receipt)]
    if receipt.left_calls is not None:
        headers.append((b"x-quota-remaining", b"%d" % receipt.left_calls))
    if receipt.left_rows is not None:
        headers.append((b"x-quota-remaining-rows", b"%d" % receipt.left_rows))
    return WholeAnswer(headers, ready.body)


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
