"""供方接口 Calls to a provider's own API through us: the gate is read first, the charge is durable, then bytes leave."""

import asyncio
import hashlib
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contracts.terms import DeliveryMode, Tier
from metering.breaker import Breaker
from metering.gate import Charge, Receipt, charge_key, event_id
from metering.gateway.files import disconnected
from metering.gateway.plane import Plane
from metering.problems import (
    CallRefused,
    ChargeKeyReused,
    ChargeKeyUsed,
    LicenseNotInForce,
    NotOnShelf,
    RequestTooLarge,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimedOut,
)
from metering.queries import charged
from metering.shelf import refuse, refuse_exhausted
from metering.tables import Gate, UsageEvent
from metering.tokens import AUD_COMMERCIAL, Access
from metering.upstream import Declaration, is_hit, path_fault
from metering.upstream_client import (
    AGENT,
    Ask,
    Resolve,
    Told,
    UpstreamClient,
    failed,
    resolve_host,
    timed_out,
)
from metering.upstream_keeping import opened_upstream
from metering.words import Kind, Settled
from storage.kernel import clock
from storage.kernel.problem import Invalid

log = structlog.get_logger(__name__)
# What is passed on. Everything else stays on its own side: tokens, cookies, hop-by-hop fields, server names.
_TO_UPSTREAM = ("accept", "accept-language", "content-type")
_TO_BUYER = (
    "content-type",
    "content-language",
    "content-encoding",
    "content-disposition",
    "etag",
    "last-modified",
)
# The provider's content is shown under our address: it must not run there.
_INERT = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}
_UPSTREAMS_OWN = {401, 403, 407, 408, 429}  # its secret, its limits: not the fault of the request
_BUYER_SECONDS = 60.0  # a buyer takes each chunk within this time


@dataclass(frozen=True, slots=True)
class Opened:
    """A call that may be made: under which gate, to where, and under which charge."""

    product_id: str
    gate: Gate
    declared: Declaration
    ask: Ask
    key: str | None
    fingerprint: bytes


class CallsDoor:
    """供方接口之门. One per gateway: it keeps the connections and the breakers."""

    def __init__(self, plane: Plane, resolve: Resolve = resolve_host) -> None:
        self._plane = plane
        self._client = UpstreamClient(plane.settings.upstream_private_hosts, resolve)
        self._breakers: dict[str, Breaker] = {}

    async def close(self) -> None:
        """End the connections to upstreams."""
        await self._client.close()

    async def call(self, request: Request, product: str, path: str) -> Response:
        """One call: read the gate, ask the upstream, charge, then send. An upstream's failure costs nothing."""
        plane = self._plane
        access = await plane.access(request, AUD_COMMERCIAL)
        limits = plane.paid_burst.take(access.client_id).headers()
        body = await self._body(request)
        opened = await plane.in_thread(self._open, request, product, f"/{path}", access, body)
        breaker = self._breaker(opened.product_id)
        trial = breaker.enter()
        try:
            async with AsyncExitStack() as stack:
                stack.callback(breaker.leave, trial=trial)
                answer = await self._answered(opened, access, breaker, stack)
        except (UpstreamFailed, UpstreamTimedOut) as problem:
            breaker.failed()
            log.warning("upstream.failed", product=opened.product_id, reason=problem.members["reason"])
            raise
        except UpstreamRefused:
            breaker.succeeded()  # it is there and answers
            raise
        answer.headers.update(limits)
        return answer

    def _breaker(self, product_id: str) -> Breaker:
        settings = self._plane.settings
        return self._breakers.setdefault(
            product_id,
            Breaker(
                product_id,
                failures=settings.breaker_failures,
                seconds=settings.breaker_seconds,
                parallel=settings.upstream_parallel,
            ),
        )

    async def _body(self, request: Request) -> bytes:
        most = self._plane.settings.upstream_request_bytes
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise RequestTooLarge(limit_bytes=most)
        return bytes(body)

    def _open(self, request: Request, product: str, path: str, access: Access, body: bytes) -> Opened:
        """Everything that can be refused before the provider's API is driven."""
        plane = self._plane
        item = plane.shelf.item(product, Tier.COMMERCIAL, access)
        standing = plane.shelf.standing(access)
        given = request.headers.get("idempotency-key")
        key = charge_key(given) if given is not None else None
        media = request.headers.get("content-type", "")
        question = [item.product_id, request.method, path, request.url.query, media, body.hex()]
        fingerprint = hashlib.blake2b(orjson.dumps(question), digest_size=16).digest()
        with plane.store.view() as view:
            booked = charged(view, event_id(standing.gate.license_id, key)) if key is not None else None
            found = opened_upstream(view, plane.seal, item.product_id)
        try:
            refuse(standing, item, access, DeliveryMode.API_CALL, clock.now())
        except LicenseNotInForce as refusal:
            if booked is not None and booked.fingerprint == fingerprint:
                refusal.members["receipt"] = _receipt(booked)
            raise
        if found is None:
            raise NotOnShelf(product=product)
        declared, secret = found
        if fault := path_fault(path):
            raise Invalid(fault)
        if not declared.allows(request.method, path):
            raise CallRefused(methods=declared.methods, paths=declared.paths)
        if booked is None:
            refuse_exhausted(standing.gate)
        else:
            self._refuse_repeat(booked, fingerprint)
        url, headers = declared.target(path, request.url.query, secret)
        passed = [
            (name, value) for name in _TO_UPSTREAM if (value := request.headers.get(name)) and value.isascii()
        ]
        own = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
        ask = Ask(request.method, url, [*passed, *own.items(), *headers.items()], body)
        return Opened(item.product_id, standing.gate, declared, ask, key, fingerprint)

    def _refuse_repeat(self, booked: UsageEvent, fingerprint: bytes) -> None:
        """The same purchase again: free for a while, for the same request, and not as a way to drive an API."""
        if booked.fingerprint != fingerprint:
            raise ChargeKeyReused(receipt=_receipt(booked))
        if clock.now() - booked.at >= timedelta(hours=self._plane.settings.resume_hours):
            raise ChargeKeyUsed(receipt=_receipt(booked))
        self._plane.repeat_burst.take(booked.id.hex())

    async def _answered(
        self, opened: Opened, access: Access, breaker: Breaker, stack: AsyncExitStack
    ) -> Response:
        settings, declared, gate = self._plane.settings, opened.declared, opened.gate
        most = min(declared.most_bytes, settings.upstream_bytes)
        whole = gate.per_hit or gate.limit_bytes is not None
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(declared.total_seconds):
                told = await stack.enter_async_context(self._client.ask(declared, opened.ask))
                _refuse_answer(told)
                if whole:
                    most = min(most, settings.upstream_whole_bytes)
                if told.length is not None and told.length > most:
                    raise failed("too_large", limit_bytes=most)
                hold = most if whole else min(most, settings.upstream_held_bytes)
                head, ended = await _gathered(told, hold)
        except TimeoutError:
            raise timed_out("total") from None
        if (whole and not ended) or len(head) > most:
            raise failed("too_large", limit_bytes=most)
        hit = not gate.per_hit or _found(told, declared, head)
        breaker.succeeded()
        size = len(head) if ended else max(len(head), told.length or 0)
        receipt = await self._charge(opened, access, size=size, hit=hit)
        headers = _headers(told, receipt)
        if gate.per_hit:
            headers["X-Hit"] = "true" if hit else "false"
        if ended:
            return Response(head, told.status, headers)
        if told.length is not None:
            headers["Content-Length"] = str(told.length)
        left = declared.total_seconds - (loop.time() - begun)
        return _Relay(told, head, most, left, breaker, stack.pop_all(), headers)

    async def _charge(self, opened: Opened, access: Access, *, size: int, hit: bool) -> Receipt:
        return await self._plane.till.charge_async(
            Charge(
                license_id=opened.gate.license_id,
                product_id=opened.product_id,
                credential_id=access.client_id,
                jti=access.jti,
                purpose=access.purpose,
                kind=Kind.CALL,
                key=opened.key,
                fingerprint=opened.fingerprint,
                calls=1,
                size=size,
                hit=hit,
            )
        )


def _receipt(event: UsageEvent) -> dict[str, object]:
    receipt = Receipt(
        event.id, Settled.DUPLICATE, event.at, event.calls, event.rows, event.bytes, event.amount_fen
    )
    return receipt.document()


def _refuse_answer(told: Told) -> None:
    """Raise for every answer that is not 2xx, saying whose fault it is."""
    if 200 <= told.status < 300:
        return
    if 300 <= told.status < 400:
        raise failed("redirected", upstream_status=told.status)  # never followed: it may lead inside
    if told.status >= 500:
        raise failed("answered", upstream_status=told.status)
    fault = "upstream" if told.status in _UPSTREAMS_OWN else "request"
    problem = UpstreamRefused(upstream_status=told.status, fault=fault, charged=False)
    wait = told.headers.get("retry-after", "")
    if wait.isascii() and wait.isdigit() and len(wait) <= 5:
        problem.headers["Retry-After"] = wait
    raise problem


async def _gathered(told: Told, hold: int) -> tuple[bytes, bool]:
    """The beginning of an answer, and whether it is the whole; a little more than `hold` bytes at most."""
    head = bytearray()
    async for chunk in told.chunks:
        head += chunk
        if len(head) > hold:
            return bytes(head), False
    return bytes(head), True


def _found(told: Told, declared: Declaration, body: bytes) -> bool:
    if told.headers.get("content-encoding", "identity") != "identity":
        raise failed("unreadable")
    if not body:
        return False
    try:
        return is_hit(declared, body)
    except ValueError:
        raise failed("unreadable") from None


def _headers(told: Told, receipt: Receipt) -> dict[str, str]:
    headers = {name: told.headers[name] for name in _TO_BUYER if name in told.headers}
    headers |= _INERT | {"X-Charge-Id": receipt.charge_id, "Cache-Control": "private, no-store"}
    if receipt.left_calls is not None:
        headers["X-Quota-Remaining"] = str(receipt.left_calls)
    if receipt.outcome is Settled.DUPLICATE:
        headers["X-Charge-Duplicate"] = "true"
    return headers


class _Relay(Response):
    """Sends on what comes from the upstream. What breaks off is cut, so that nobody takes it for the whole."""

    def __init__(
        self,
        told: Told,
        head: bytes,
        most: int,
        seconds: float,
        breaker: Breaker,
        kept: AsyncExitStack,
        headers: dict[str, str],
    ) -> None:
        super().__init__(None, told.status, headers)
        if "Content-Length" not in headers:
            del self.headers["content-length"]
        self._told, self._head, self._most = told, head, most
        self._seconds, self._breaker, self._kept = seconds, breaker, kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        gone = asyncio.create_task(disconnected(receive))
        try:
            async with self._kept:
                await self._send(send, gone)
        except (UpstreamFailed, UpstreamTimedOut) as problem:
            self._breaker.failed()
            log.warning("upstream.cut", reason=problem.members["reason"])  # the server closes the connection
        except TimeoutError:
            log.warning("upstream.buyer_slow")
        finally:
            gone.cancel()

    async def _send(self, send: Send, gone: asyncio.Task[None]) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        chunk: bytes | None = self._head
        sent, loop = 0, asyncio.get_running_loop()
        while chunk is not None and not gone.done():
            sent += len(chunk)
            if sent > self._most:
                raise failed("too_large", limit_bytes=self._most)
            async with asyncio.timeout(_BUYER_SECONDS):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            before = loop.time()
            chunk = await self._next()
            self._seconds -= loop.time() - before  # only the upstream's time counts against the upstream
        if not gone.done():
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> bytes | None:
        try:
            async with asyncio.timeout(self._seconds):
                return await anext(self._told.chunks, None)
        except TimeoutError:
            raise timed_out("total") from None
