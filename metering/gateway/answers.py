"""How the gateway reads a request and says things: language, address, problems, file names."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from metering.burst import Allowance
from metering.gate import Receipt
from metering.problems import InvalidToken
from metering.tokens import inside
from metering.words import Settled
from storage.kernel.problem import Problem
from storage.kernel.words import Lang

ZERO_COPY = (
    "http.response.zerocopysend"  # an extension of ASGI: part of an open file, sent without reading it
)
# May be kept, but is asked about each time: a license may have ended, a version may be new.
PRIVATE = b"cache-control: private, no-cache\r\n"
PUBLIC = b"cache-control: public, no-cache\r\n"


class WholeAnswer:
    """An answer that is there as a whole: its headers as lines (`head_of`), with the length, and its body.

    As it is sent, because many wait for it.
    """

    __slots__ = ("body", "head", "status_code")

    def __init__(self, head: bytes, body: bytes, status: int = 200) -> None:
        self.head = head
        self.body = body
        self.status_code = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI
        """Send it."""
        headers = [line.split(b": ", 1) for line in self.head.splitlines()]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


Answered = Callable[[WholeAnswer | Response], bool]
"""Takes the answer to a request that was taken on; whether the caller was still there."""


def head_of(said: Mapping[str, str]) -> bytes:
    """Headers as lines."""
    return b"".join(b"%b: %b\r\n" % pair for pair in raw_headers(said))


def raw_headers(said: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    """Headers as they are sent."""
    return tuple((name.lower().encode(), value.encode("latin-1")) for name, value in said.items())


def paid_head(allowance: Allowance, receipt: Receipt) -> bytes:
    """What every paid answer says of its charge and of the caller's burst limit, as lines."""
    again = b"x-charge-duplicate: true\r\n" if receipt.outcome is Settled.DUPLICATE else b""
    return b"%bx-charge-id: %b\r\n%b" % (allowance.head(), receipt.charge_id.encode(), again)


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(body), status, dict(headers or {}), media_type="application/json")


def problem_answer(problem: Problem, request: Request) -> Response:
    """The refusal as application/problem+json (RFC 9457), led by the caller's language."""
    lang = language(request.headers.get("accept-language", ""))
    headers = {"Cache-Control": "no-store", "Content-Language": lang, **problem.headers}
    body = orjson.dumps(problem.document(lang))
    return Response(body, problem.status, headers, media_type="application/problem+json")


def language(header: str) -> Lang:
    """Chinese unless the caller asks for English first."""
    return "en" if header.strip().lower().startswith("en") else "zh"


def bearer(request: Request) -> str:
    """The token of the Authorization header. Raises InvalidToken."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise InvalidToken(token_shown=False)
    return token.strip()


def address_of(request: Request, trusted: Sequence[str]) -> str:
    """The caller's address: the peer, or what trusted proxies say stands behind them."""
    address = request.client.host if request.client else ""
    if not trusted:
        return address
    hops = [hop.strip() for hop in ",".join(request.headers.getlist("x-forwarded-for")).split(",")]
    while hops and any(inside(address, network) for network in trusted):
        address = hops.pop() or address
    return address


def neighborhood(address: str) -> str:
    """Who shares one allowance of fair use: an IPv4 address, or the /64 that one subscriber of IPv6 is given.

    What cannot be read stands for itself.

    >>> neighborhood("2001:db8:1:2:aaaa::1"), neighborhood("::ffff:192.0.2.1"), neighborhood("192.0.2.1")
    ('2001:db8:1:2::/64', '192.0.2.1', '192.0.2.1')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def disposition(name: str) -> str:
    """Content-Disposition with a Chinese file name (RFC 6266, RFC 8187)."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def etag_matches(header: str | None, etag: str) -> bool:
    """Whether an If-None-Match list names this entity tag."""
    if header is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags
