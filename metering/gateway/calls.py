"""供方接口 Calls to a provider's own API through us: the gate is read, the answer is read whole, charged, and sent.

An answer that breaks off, is too large or comes too late is therefore never charged, and a buyer who reads slowly holds
no place at the provider's.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import orjson
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contracts.terms import DeliveryMode, Tier
from metering.breaker import Breaker
from metering.gate import Charge, Receipt, charge_key, event_id
from metering.gateway.files import disconnected
from metering.gateway.parameters import pairs
from metering.gateway.plane import Plane
from metering.gateway.spool import Spooled
from metering.gateway.underway import UnderWay
from metering.problems import (
    CallRefused,
    ChargeKeyReused,
    ChargeKeyUsed,
    LicenseNotInForce,
    NotOnShelf,
    QuotaExhausted,
    RequestTooLarge,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimedOut,
)
from metering.queries import charged, receipt_of
from metering.shelf import calls_left, refuse, refuse_exhausted
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
from storage.kernel.problem import Invalid, Problem
from storage.kernel.words import Words

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
_UNSAYABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The provider's content is shown under our address: it must not run there.
_INERT = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}
_UPSTREAMS_OWN = {401, 403, 407, 408, 429}  # its secret, its limits: not the fault of the request
_BUYER_SECONDS = 60.0  # a buyer takes each part within this time
_TRIED_AGAIN = 60  # seconds until a license is tried again whose bytes did not reach for an answer
_REMEMBERED = 10_000
_REPEATED = Words(
    "此次购买已免费重复了允许的次数：请换一个新的 Idempotency-Key。",
    "This purchase was repeated free as often as is allowed: ask with a new Idempotency-Key.",
)
_NOT_TRIED = Words(
    "刚才的应答超过剩余字节，一分钟内不再调用供方接口；剩余字节变化后即可再试。",
    "An answer just now had more bytes than are left: the provider is not asked for a minute, or until that changes.",
)


K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Opened:
    """A call that may be made: under which gate, to where, and under which charge."""

    product_id: str
    gate: Gate
    declared: Declaration
    ask: Ask
    key: str | None
    fingerprint: bytes
    booked: UsageEvent | None = None  # what was paid for it before
    left: int | None = None  # so many calls the license can pay for; None when nothing limits them


class CallsDoor:
    """供方接口之门. One per gateway: it keeps the connections and the breakers."""

    def __init__(self, plane: Plane, resolve: Resolve = resolve_host) -> None:
        self._plane = plane
        self._client = UpstreamClient(plane.settings.upstream_private_hosts, resolve)
        self._breakers: dict[str, Breaker] = {}
        self._under_way = UnderWay(plane.settings.upstream_share)
        self._repeats: dict[bytes, int] = {}
        self._too_long: dict[str, _TooLong] = {}

    async def close(self) -> None:
        """End the connections to upstreams."""
        await self._client.close()

    async def call(self, request: Request, product: str, path: str) -> Response:
        """One call: read the gate, ask the upstream, charge, then send. An upstream's failure costs nothing."""
        plane = self._plane
        access = await plane.access(request, AUD_COMMERCIAL)
        limits = plane.paid_burst.take(access.client_id).headers()
        pairs(request.scope["query_string"])  # refuses what would be sent on as something else
        body = await self._body(request)

        async def judged() -> Opened:
            opened = await plane.in_thread(self._open, request, product, f"/{path}", access, body)
            self._refuse_driving(opened)
            return opened

        first = await judged()
        license_id, seconds = first.gate.license_id, first.declared.total_seconds
        with _naming_what_was_paid(first.booked):
            async with self._under_way.one(license_id, first, judged, seconds) as opened:
                told, answer, hit, receipt = await self._bought(request, opened, access)
        headers = limits | _headers(told, receipt)
        if opened.gate.per_hit:
            headers["X-Hit"] = "true" if hit else "false"
        if answer.at_hand is not None:
            return Response(answer.at_hand, told.status, headers)
        return _FromSpool(answer, told.status, headers)

    async def _bought(
        self, request: Request, opened: Opened, access: Access
    ) -> tuple[Told, Spooled, bool, Receipt]:
        """The upstream's whole answer, whether it is a hit, and what was charged for it."""
        self._refuse_more_repeats(opened)
        with _naming_what_was_paid(opened.booked):
            told, answer = await self._asked(opened)
            try:
                if opened.key is None:
                    await _refuse_who_left(request)
                hit = not opened.gate.per_hit or await _found(told, opened.declared, answer)
                receipt = await self._charge(opened, access, size=answer.size, hit=hit)
                self._count_repeat(opened)
            except BaseException:
                answer.close()
                raise
        return told, answer, hit, receipt

    async def _asked(self, opened: Opened) -> tuple[Told, Spooled]:
        """The whole answer of the upstream, which the breaker hears of."""
        breaker = self._breaker(opened.product_id)
        trial = breaker.enter()
        try:
            told, answer = await self._answered(opened)
        except (UpstreamFailed, UpstreamTimedOut) as problem:
            reason = problem.members["reason"]
            if reason == "too_large":  # it answers: another buyer may ask for something else
                breaker.succeeded()
            else:
                breaker.failed()
            log.warning("upstream.failed", product=opened.product_id, reason=reason)
            raise
        except UpstreamRefused:
            breaker.succeeded()  # it is there and answers
            raise
        else:
            breaker.succeeded()
            return told, answer
        finally:
            breaker.leave(trial=trial)

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
            if booked is not None:
                refusal.members["receipt"] = receipt_of(booked)
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
        most = self._most(declared, standing.gate)
        left = calls_left(standing.gate, most) if booked is None else None
        url, headers = declared.target(path, request.url.query, secret)
        passed = [
            (name, value) for name in _TO_UPSTREAM if (value := request.headers.get(name)) and value.isascii()
        ]
        own = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
        ask = Ask(request.method, url, [*passed, *own.items(), *headers.items()], body)
        return Opened(item.product_id, standing.gate, declared, ask, key, fingerprint, booked, left)

    def _refuse_repeat(self, booked: UsageEvent, fingerprint: bytes) -> None:
        """The same purchase again: free for a while, for the same request, and not as a way to drive an API."""
        if booked.fingerprint != fingerprint:
            raise ChargeKeyReused(receipt=receipt_of(booked))
        if clock.now() - booked.at >= timedelta(hours=self._plane.settings.resume_hours):
            raise ChargeKeyUsed(receipt=receipt_of(booked))
        self._plane.repeat_burst.take(booked.id.hex())

    def _refuse_driving(self, opened: Opened) -> None:
        """Refuse a license whose bytes did not reach for an answer just now, as long as nothing has changed."""
        found = self._too_long.get(opened.gate.license_id)
        if opened.booked is not None or found is None:
            return
        if found.room == _room(opened.gate) and time.monotonic() < found.until:
            problem = QuotaExhausted(_NOT_TRIED, **found.members)
            problem.headers["Retry-After"] = str(_TRIED_AGAIN)
            raise problem

    def _refuse_more_repeats(self, opened: Opened) -> None:
        most = self._plane.settings.repeats_per_purchase
        if opened.booked is not None and self._repeats.get(opened.booked.id, 0) >= most:
            raise ChargeKeyUsed(_REPEATED, receipt=receipt_of(opened.booked))

    def _count_repeat(self, opened: Opened) -> None:
        if opened.booked is not None:
            _remember(self._repeats, opened.booked.id, self._repeats.get(opened.booked.id, 0) + 1)

    def _most(self, declared: Declaration, gate: Gate) -> int:
        """The largest answer that is sent on, in bytes."""
        settings = self._plane.settings
        most = min(declared.most_bytes, settings.upstream_bytes)
        return min(most, settings.upstream_judged_bytes) if gate.per_hit else most

    async def _answered(self, opened: Opened) -> tuple[Told, Spooled]:
        declared, most = opened.declared, self._most(opened.declared, opened.gate)
        try:
            async with (
                asyncio.timeout(declared.total_seconds),
                self._client.ask(declared, opened.ask) as told,
            ):
                _refuse_answer(told)
                _refuse_unsayable(told)
                if told.length is not None and told.length > most:
                    raise failed("too_large", limit_bytes=most)
                return told, await self._plane.spool.gather(told.chunks, most, opened.gate.license_id)
        except TimeoutError:
            raise timed_out("total") from None

    async def _charge(self, opened: Opened, access: Access, *, size: int, hit: bool) -> Receipt:
        charge = Charge(
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
        try:
            return await self._plane.till.charge_async(charge)
        except QuotaExhausted as problem:
            if problem.members["unit"] == "bytes":
                until = time.monotonic() + _TRIED_AGAIN
                known = _TooLong(_room(opened.gate), until, problem.members)
                _remember(self._too_long, opened.gate.license_id, known)
            raise


@dataclass(frozen=True, slots=True)
class _TooLong:
    """An answer that the bytes of a license did not reach for, which the provider has given for nothing."""

    room: tuple[int | None, int]
    until: float
    members: dict[str, Any]


async def _refuse_who_left(request: Request) -> None:
    """Raise ClientDisconnect for who left: without a key, what nobody hears could not be asked for again."""
    if await request.is_disconnected():
        raise ClientDisconnect


def _remember(where: dict[K, V], name: K, value: V) -> None:
    if len(where) >= _REMEMBERED:
        where.clear()
    where[name] = value


def _room(gate: Gate) -> tuple[int | None, int]:
    return gate.limit_bytes, gate.used_bytes


@contextmanager
def _naming_what_was_paid(booked: UsageEvent | None) -> Iterator[None]:
    """Let no failure of a repeated call say that nothing was charged: the first one was."""
    try:
        yield
    except Problem as problem:
        if booked is not None and "charged" in problem.members:
            problem.members |= {"charged": True, "receipt": receipt_of(booked)}
        raise


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


async def _found(told: Told, declared: Declaration, answer: Spooled) -> bool:
    """Whether a plan per hit owes anything for an answer. Raises UpstreamFailed when that cannot be read."""
    if told.headers.get("content-encoding", "identity") != "identity":
        raise failed("unreadable")
    body = b"".join([part async for part in answer.portions()])
    if not body:
        return False
    try:
        return is_hit(declared, body)
    except ValueError:
        raise failed("unreadable") from None


def _refuse_unsayable(told: Told) -> None:
    """Raise for a field that is passed on and that no server may say: the answer would be paid and never arrive."""
    if any(_UNSAYABLE.search(told.headers.get(name, "")) for name in _TO_BUYER):
        raise failed("unreadable")


def _headers(told: Told, receipt: Receipt) -> dict[str, str]:
    headers = {name: told.headers[name] for name in _TO_BUYER if name in told.headers}
    headers |= _INERT | {"X-Charge-Id": receipt.charge_id, "Cache-Control": "private, no-store"}
    if receipt.left_calls is not None:
        headers["X-Quota-Remaining"] = str(receipt.left_calls)
    if receipt.outcome is Settled.DUPLICATE:
        headers["X-Charge-Duplicate"] = "true"
    return headers


class _FromSpool(Response):
    """Sends an answer that has been charged; what cannot be read again from the disk is cut, never shortened."""

    def __init__(self, answer: Spooled, status: int, headers: dict[str, str]) -> None:
        super().__init__(None, status, headers | {"Content-Length": str(answer.size)})
        self._spooled = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        gone = asyncio.create_task(disconnected(receive))
        try:
            with closing(self._spooled):
                await self._send(send, gone)
        except TimeoutError:
            log.warning("upstream.buyer_slow")  # the server closes the connection
        finally:
            gone.cancel()

    async def _send(self, send: Send, gone: asyncio.Task[None]) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for part in self._spooled.portions():
            if gone.done():
                return
            async with asyncio.timeout(_BUYER_SECONDS):
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
