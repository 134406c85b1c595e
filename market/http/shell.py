"""What surrounds every answer: security headers, a request id, a body limit, and the problem handlers."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from market.house import House
from market.http.problems import BodyTooLarge, ServerFault, as_problem
from market.http.render import page
from market.http.uploads import is_upload
from market.http.who import lang_of
from storage.kernel.ids import new_id
from storage.kernel.problem import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
log = structlog.get_logger()

CSP = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
# fastapi-offline's Swagger page starts itself with an inline script.
DOCS_CSP = (
    CSP + "; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:"
)


class Shell:
    """Pure ASGI: says whose house it is, adds headers to every answer, stops a body above the limit before it is read."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], house: House) -> None:
        self.app, self.house = app, house
        self.body_limit = house.settings.limits.json_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = new_id("req")
        scope.setdefault("state", {}).update(request_id=request_id, house=self.house)
        path: str = scope["path"]
        taken = 0
        bare = scope["method"] == "HEAD"
        if bare:  # answered like GET, without the body: link checkers and caches ask this way
            scope["method"] = "GET"

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > self.body_limit:
                    raise BodyTooLarge(limit_bytes=self.body_limit)
            return message

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                headers["Content-Security-Policy"] = DOCS_CSP if path in {"/docs", "/redoc"} else CSP
                headers.setdefault("Cache-Control", "no-store")
            elif bare:
                message = {**message, "body": b""}
            await send(message)

        await self.app(scope, receive if is_upload(scope) else limited, dressed)


def wants_page(request: Request) -> bool:
    """Whether a person is looking: a browser asks for HTML outside the APIs."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def answer(request: Request, problem: Problem) -> Response:
    """The refusal as a page for a person, as problem+json for a program."""
    headers = dict(problem.headers)
    if problem.status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="shugang"')
    if wants_page(request):
        if problem.status == 401 and request.method == "GET":
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return Response(status_code=303, headers={"Location": f"/login?next={quote(target)}"})
        shown = page(request, "problem.html", status=problem.status, problem=problem)
        shown.headers.update(headers)
        return shown
    body = problem.document(lang_of(request)) | {"instance": f"urn:request:{request.state.request_id}"}
    return JSONResponse(body, problem.status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Give every exception its shape; what is nobody's refusal is our fault, logged, and says so."""

    def refused(request: Request, error: Exception) -> Response:
        problem = as_problem(error)
        if problem is None:
            incident = request.state.request_id
            log.error("server fault", incident=incident, path=request.url.path, exc_info=error)
            problem = ServerFault(incident=incident)
        return answer(request, problem)

    for kind in (Problem, RequestValidationError, HTTPException, SQLAlchemyError, Exception):
        app.add_exception_handler(kind, refused)
