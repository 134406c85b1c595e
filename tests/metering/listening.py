"""A gateway of this process behind the server the product runs on."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from starlette.types import ASGIApp

from metering.gateway.server import AtOnce, bound, serve
from tests.servers import NO_TLS


@contextmanager
def listening(app: ASGIApp, port: int, at_once: AtOnce | None = None, **more: Any) -> Iterator[None]:
    """Answer on 127.0.0.1 until the block ends. Raises what the application's startup raises."""
    loop, told = asyncio.new_event_loop(), asyncio.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            loop.run_until_complete(serve(app, bound("127.0.0.1", port), told, at_once=at_once, **more))
        except BaseException as error:  # noqa: BLE001  # raised again where the test waits
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    transport = httpx2.HTTPTransport(retries=60)
    with httpx2.Client(transport=transport, timeout=20, trust_env=False, verify=NO_TLS) as asking:
        asking.get(f"http://127.0.0.1:{port}/healthz")
    try:
        yield
    finally:
        loop.call_soon_threadsafe(told.set)
        thread.join(20)
        loop.close()
    if failed:
        raise failed[0]
