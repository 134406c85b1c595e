"""The gateway as an ASGI application: dispatches by the route table, refuses with problem documents."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from metering.gateway import downloads
from metering.gateway.again import Again
from metering.gateway.answers import Answered, WholeAnswer, json_answer, problem_answer
from metering.gateway.calls import CallsDoor
from metering.gateway.oauth import OAuthDoor
from metering.gateway.plane import Plane
from metering.gateway.rows import RowsDoor
from metering.gateway.table import RESOURCE_METADATA, ROUTES, Route
from metering.settings import MeteringSettings
from storage.kernel.problem import MethodNotAllowed, NotFound, Problem, Unavailable
from storage.objects import Objects
from storage.unit import Store

log = structlog.get_logger(__name__)
Endpoint = Callable[..., Awaitable[Response | WholeAnswer]]


class Gateway:
    """网关. An ASGI app; call `startup` and `shutdown` when it is mounted, where no lifespan reaches it."""

    def __init__(self, make_plane: Callable[[], Plane]) -> None:
        self._make_plane = make_plane
        self._patterns = [(route.pattern(), route) for route in ROUTES]
        self._endpoints: dict[str, Endpoint] = {}
        self.plane: Plane | None = None
        self._calls: CallsDoor | None = None
        self._again: Again | None = None

    async def startup(self) -> None:
        """Open till, keys and files. Calling it twice is harmless."""
        if self.plane is not None:
            return
        plane = self.plane = await asyncio.to_thread(self._make_plane)
        rows, oauth = RowsDoor(plane), OAuthDoor(plane)
        self._again = rows.again
        calls = self._calls = CallsDoor(plane)
        self._endpoints = {
            "rows": rows.paid,
            "call": calls.call,
            "downloads": lambda request, product: downloads.issue_ticket(plane, request, product),
            "ticket": lambda request, ticket: downloads.redeem_ticket(plane, request, ticket),
            "open_metadata": lambda request, product: downloads.open_metadata(plane, request, product),
            "open_rows": rows.open,
            "open_file": lambda request, product, kind: downloads.open_file(plane, request, product, kind),
            "token": oauth.token,
            "revoke": oauth.revoke,
            "introspect": oauth.introspect,
            "metadata": oauth.metadata,
            "resource": oauth.resource,
            "jwks": oauth.jwks,
            "healthz": self._healthz,
            "readyz": self._readyz,
        }

    async def shutdown(self) -> None:
        """Settle what waits and stop."""
        plane, self.plane, self._again = self.plane, None, None
        if self._calls is not None:
            await self._calls.close()
        if plane is not None:
            await asyncio.to_thread(plane.close)

    def serves(self, path: str) -> bool:
        """Whether a path is one of ours, for the dispatcher in front."""
        return any(pattern.fullmatch(path) for pattern, _ in self._patterns)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            answer = await self._answer(Request(scope, receive))
            if scope["method"] == "HEAD" and answer.status_code >= 400:
                answer.body = b""
            await answer(scope, receive, send)
        else:
            raise RuntimeError("the gateway speaks HTTP only")

    def at_once(self, scope: Scope, answered: Answered) -> bool:
        """Take on a page allowed a moment ago, or a small file at hand; `answered` is called back with the answer.

        What refuses before the till does is left to the ordinary way, which looks from the beginning.
        """
        if self.plane is None or self._again is None or scope["method"] != "GET":
            return False

        def told(answer: WholeAnswer | Problem) -> bool:
            return answered(self._refused(answer, Request(scope)) if isinstance(answer, Problem) else answer)

        try:
            if scope["path"].startswith("/d/"):
                return downloads.begin(self.plane, scope, told)
            return self._again.begin(scope, told)
        except Exception:  # noqa: BLE001  # the ordinary way meets it again, and says so
            return False

    async def _answer(self, request: Request) -> Response | WholeAnswer:
        try:
            found = self._find(request.scope["path"])
            if found is None:
                raise NotFound
            route, parameters = found
            if request.method not in route.methods:
                raise MethodNotAllowed(*route.methods)
            if self.plane is None:
                raise Unavailable
            return await self._endpoints[route.name](request, **parameters)
        except Problem as problem:
            return self._refused(problem, request)
        except ClientDisconnect:
            return Response(None, 400)
        except SQLAlchemyError as error:  # also when no connection became free
            cause = error.orig if isinstance(error, DBAPIError) else error
            log.warning("gateway.database", error=type(cause).__name__)
            return problem_answer(Unavailable(), request)

    def _refused(self, problem: Problem, request: Request) -> Response:
        answer = problem_answer(problem, request)
        if self.plane is not None:
            self.plane.count_refusal(problem, request)
            if (challenge := problem.headers.get("WWW-Authenticate")) is not None:  # RFC 9728 5.1
                found = f'{challenge}, resource_metadata="{self.plane.public_url}{RESOURCE_METADATA}"'
                answer.headers["WWW-Authenticate"] = found
        return answer

    def _find(self, path: str) -> tuple[Route, dict[str, str]] | None:
        if "\0" in path:  # nothing is named so, and not every database can be asked for it
            return None
        for pattern, route in self._patterns:
            if match := pattern.fullmatch(path):
                return route, match.groupdict()
        return None

    async def _healthz(self, request: Request) -> Response:  # noqa: ARG002
        assert self.plane is not None
        body = {"alive": True, "durability": self.plane.store.database.durability}
        return json_answer(body, headers={"Cache-Control": "no-store"})

    async def _readyz(self, request: Request) -> Response:  # noqa: ARG002
        assert self.plane is not None
        seconds = await self.plane.in_thread(self.plane.store.database.ping)
        ready = self.plane.till.alive
        body = {
            "ready": ready,
            "till_waiting": self.plane.till.waiting,
            "database_ms": round(seconds * 1000, 2),
        }
        return json_answer(body, 200 if ready else 503, {"Cache-Control": "no-store"})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.startup()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.shutdown()
                await send({"type": "lifespan.shutdown.complete"})
                return


def build_gateway(
    store: Store,
    objects: Objects,
    settings: MeteringSettings,
    *,
    public_url: str,
    zone: str = "Asia/Shanghai",
    folder: Path,
) -> Gateway:
    """The gateway over these stores. `folder` caches serving copies; `public_url` is also the issuer of tokens."""

    def make_plane() -> Plane:
        return Plane(
            store,
            objects,
            settings.resolved(folder),
            public_url=public_url,
            zone=zone,
            folder=folder,
        )

    return Gateway(make_plane)
