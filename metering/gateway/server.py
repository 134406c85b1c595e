"""Serve an ASGI application from this one process until it is told to stop."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server
from granian.utils.proxies import wrap_asgi_with_proxy_headers
from starlette.types import ASGIApp, Message

_BACKLOG = 2048
_HEADER_MS = 30_000  # a client that does not finish its headers is cut off


def serve_until_told(app: ASGIApp, host: str, port: int, trusted_proxies: tuple[str, ...] = ()) -> None:
    """Run the application's lifespan and answer HTTP/1.1 until SIGTERM or SIGINT. Raises what its startup raises."""
    if trusted_proxies:
        app = wrap_asgi_with_proxy_headers(app, list(trusted_proxies))

    async def until_told() -> None:
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        await serve(app, host, port, told)

    gc.freeze()  # what stands now stays until the end: no collection walks through it again
    try:
        uvloop.run(until_told())
    finally:
        gc.unfreeze()


async def serve(app: ASGIApp, host: str, port: int, told: asyncio.Event) -> None:
    """The same until the event is set."""
    async with _lifespan(app):
        server: Any = Server(
            app,
            address=host,
            port=port,
            interface=Interfaces.ASGINL,  # the lifespan is ours: an app that cannot start must not look alive
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MS),
            websockets=False,
            backlog=_BACKLOG,
            log_level=LogLevels.error,
        )
        stopping = asyncio.create_task(_stop(server, told))
        try:
            await server.serve()
        finally:
            stopping.cancel()


async def _stop(server: Any, told: asyncio.Event) -> None:
    await told.wait()
    server.stop()


@asynccontextmanager
async def _lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """The ASGI lifespan protocol, as a context. Raises what the application raises at start or stop."""
    asked: asyncio.Queue[Message] = asyncio.Queue()
    answered: asyncio.Queue[Message] = asyncio.Queue()
    running = asyncio.ensure_future(
        app({"type": "lifespan", "asgi": {"version": "3.0"}}, asked.get, answered.put)
    )

    async def told(step: str) -> None:
        asked.put_nowait({"type": f"lifespan.{step}"})
        answer = asyncio.create_task(answered.get())
        await asyncio.wait({running, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await running  # raises what ended it
            raise RuntimeError(f"the application ended at {step}")
        if answer.result()["type"] != f"lifespan.{step}.complete":
            raise RuntimeError(f"{step} failed: {answer.result().get('message', '')}")

    await told("startup")
    try:
        yield
    finally:
        await told("shutdown")
        await running
