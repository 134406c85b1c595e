"""上游调用 The one door to providers' APIs: resolves once, refuses addresses inside, follows nothing, keeps no cookies."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

import httpcore2

from metering.problems import UpstreamFailed, UpstreamTimedOut
from metering.upstream import Declaration
from storage.kernel.words import Words

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
# What the library of an older Python takes for public: the IETF's own numbers, relays, the agent of a cloud's host.
_INSIDE = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "2001::/23", "2001:db8::/32", "3fff::/20"),
    )
)
_UNICAST = ipaddress.ip_network("2000::/3")  # the only part of IPv6 that is public
AGENT = "shugang-gateway"


class AddressForbidden(Exception):
    """The name of an upstream leads to a private, loopback, link-local, metadata or reserved address."""


async def resolve_host(host: str, port: int) -> Sequence[str]:
    """Every address of a host, as the system resolves it. Raises OSError, UnicodeError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether an address lies on the open Internet.

    >>> [is_public(each) for each in ("93.184.216.34", "10.0.0.1", "169.254.169.254", "100.100.100.200")]
    [True, False, False, False]
    >>> [is_public(each) for each in ("::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1%eth0", "")]
    [False, False, False, False, False]
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if inner is not None:
            return is_public(str(inner))
        if parsed.scope_id or parsed not in _UNICAST:
            return False
    return (
        parsed.is_global
        and not (parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified)
        and not any(parsed in network for network in _INSIDE if network.version == parsed.version)
    )


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to the very address it has judged: a name that changes its answer between gains nothing."""

    def __init__(self, private_hosts: Iterable[str], resolve: Resolve = resolve_host) -> None:
        self._private_hosts = frozenset(host.lower() for host in private_hosts)
        self._resolve = resolve
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # named by the backend's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError:
            raise httpcore2.ConnectTimeout from None
        except (
            OSError,
            UnicodeError,
        ) as error:  # a name with an empty label, or one too long, cannot be asked for
            raise httpcore2.ConnectError(str(error)) from None
        if host.lower() not in self._private_hosts and not all(map(is_public, addresses)):
            raise AddressForbidden(host)
        if not addresses:
            raise httpcore2.ConnectError("no address")
        return await self._network.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is sent to the upstream."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """What the upstream began to answer; `chunks` is the rest."""

    status: int
    headers: dict[str, str]  # names in lower case
    chunks: AsyncIterator[bytes]

    @property
    def length(self) -> int | None:
        """The declared length in bytes."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


@cache
def _trust() -> ssl.SSLContext:
    """The authorities of this system, which take some 20 ms to read."""
    return ssl.create_default_context()


class UpstreamClient:
    """上游客户端. Kept connections to every upstream of this process; close it when the gateway stops."""

    def __init__(self, private_hosts: Iterable[str], resolve: Resolve = resolve_host) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_trust(),
            max_connections=None,  # each upstream has its own bound
            max_keepalive_connections=64,
            keepalive_expiry=15.0,
            network_backend=GuardedNetwork(private_hosts, resolve),
        )

    @asynccontextmanager
    async def ask(self, declared: Declaration, ask: Ask) -> AsyncIterator[Told]:
        """Send one request and give the beginning of its answer.

        Raises UpstreamFailed, UpstreamTimedOut, also while `chunks` are read.
        """
        limits = {
            "connect": float(declared.connect_seconds),
            "read": float(declared.read_seconds),
            "write": float(declared.read_seconds),
            "pool": float(declared.connect_seconds),
        }
        with _explained():
            async with self._pool.stream(
                ask.method,
                ask.url,
                headers=ask.headers,
                content=ask.body,
                extensions={"timeout": limits},
            ) as answer:
                headers: dict[str, str] = {}
                for raw_name, raw_value in answer.headers:
                    name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
                    headers[name] = f"{headers[name]}, {value}" if name in headers else value
                yield Told(answer.status, headers, answer.aiter_stream())

    async def close(self) -> None:
        """End every connection."""
        await self._pool.aclose()


class _explained:  # noqa: N801  # used as a word: `with _explained():`
    """Turns what the network says into a refusal that names the upstream."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        match error:
            case httpcore2.ConnectTimeout() | httpcore2.PoolTimeout():
                raise timed_out("connect") from None
            case httpcore2.ReadTimeout():
                raise timed_out("read") from None
            case httpcore2.WriteTimeout():
                raise timed_out("write") from None
            case AddressForbidden():
                raise failed(
                    "address",
                    Words("供方接口的地址不在公网。", "The provider's API is not on a public address."),
                ) from None
            case httpcore2.ConnectError() | httpcore2.UnsupportedProtocol():
                raise failed("unreachable") from None
            case httpcore2.NetworkError() | httpcore2.ProtocolError():
                raise failed("broken") from None


def failed(reason: str, detail: Words | None = None, /, **members: object) -> UpstreamFailed:
    """The upstream's failure; nothing was charged."""
    return UpstreamFailed(detail, reason=reason, fault="upstream", charged=False, **members)


def timed_out(reason: str) -> UpstreamTimedOut:
    """The upstream's slowness; nothing was charged."""
    return UpstreamTimedOut(reason=reason, fault="upstream", charged=False)
