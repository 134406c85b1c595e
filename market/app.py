"""The market as an ASGI application: pages at /, the control API at /api/v1, the data plane beside them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from market.api import (
    assets,
    cases,
    contracts,
    credentials,
    desk,
    directory,
    interfaces,
    journal,
    licenses,
    lists,
    mandates,
    operations,
    orders,
    parties,
    payments,
    policy,
    problems,
    products,
    records,
    registrations,
    returns,
    runs,
    screening,
    session,
    usage,
    usage_events,
)
from market.house import House
from market.http.describe import describe
from market.http.shell import Message, Receive, Scope, Send, Shell, install
from market.interop import stripe_hook
from market.settings import Settings
from market.web import (
    account,
    amendments,
    approvals,
    catalog,
    compliance,
    demo,
    entrance,
    frame,
    listings,
    money,
    organization,
    portal,
    rulebook,
    verification,
)
from market.web import assets as asset_pages
from market.web import desk as desk_pages
from market.web import directory as directory_pages
from market.web import interfaces as interface_pages
from market.web import journal as journal_pages
from market.web import licenses as license_pages
from market.web import lists as list_pages
from market.web import mandates as mandate_pages
from market.web import orders as order_pages
from market.web import policy as policy_pages
from market.web import pricing as pricing_pages
from market.web import products as product_pages
from market.web import requests as request_pages
from market.web import returns as return_pages
from market.web import runs as run_pages
from market.web import screening as screening_pages
from market.web import usage as usage_pages
from market.worker import EmbeddedWorker, Queue
from metering.gateway.answers import Answered, WholeAnswer

API = (
    session,
    parties,
    assets,
    screening,
    policy,
    registrations,
    directory,
    runs,
    products,
    interfaces,
    cases,
    desk,
    lists,
    mandates,
    orders,
    contracts,
    licenses,
    usage,
    credentials,
    usage_events,
    payments,
    returns,
    journal,
    records,
)
PAGES = (
    portal,
    entrance,
    account,
    organization,
    compliance,
    approvals,
    desk_pages,
    request_pages,
    order_pages,
    license_pages,
    usage_pages,
    money,
    return_pages,
    journal_pages,
    rulebook,
    policy_pages,
    screening_pages,
    list_pages,
    mandate_pages,
    pricing_pages,
    verification,
    directory_pages,
    catalog,
    asset_pages,
    amendments,
    product_pages,
    interface_pages,
    run_pages,
    listings,
)
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]


def build_api(*, demo_pages: bool = False) -> FastAPI:
    """The FastAPI application alone: every page and the control API. `Shell` tells each request its house."""
    app = FastAPIOffline(
        title="数港 Shugang",
        version="1",
        description="数据资产登记、许可、计量与结算 · Register, license, meter and settle data.",
        openapi_url="/openapi.json",
        lifespan=None,
    )
    # The framework builds a router's routes when a request first looks there: pages, the portal above all, come first.
    pages = (*PAGES, demo) if demo_pages else PAGES
    frame.install(app, [page.router for page in pages])
    for module in API:
        app.include_router(module.router, prefix="/api/v1")
    app.include_router(problems.router)
    app.include_router(operations.router)
    app.include_router(stripe_hook.router)
    install(app)
    describe(app)
    return app


_api = cache(build_api)  # it is the same for every house of a process


class Front:
    """The one door: hands each request to the data plane or the market, and holds their lifetimes.

    A mounted ASGI application gets no lifespan and is absent from OpenAPI, so this dispatches itself.
    """

    def __init__(self, house: House, *, background: bool = True) -> None:
        self.house = house
        self.background = background
        self.market: ASGI = Shell(_api(demo_pages=house.settings.demo), house)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http" and _is_data(scope["path"], self.house):
            await self.house.gateway(scope, receive, self._counted("data", send))
        else:
            await self.market(scope, receive, self._counted("market", send))

    def at_once(self, scope: Scope, answered: Answered) -> bool:
        """What the data plane takes on without a task of its own."""

        def counting(answer: WholeAnswer | Response) -> bool:
            self.house.answered["data", answer.status_code] += 1
            return answered(answer)

        return self.house.gateway.at_once(scope, counting)

    def _counted(self, plane: str, send: Send) -> Send:
        """Count the status of the answer; on one event loop a plain counter is enough."""
        answered = self.house.answered

        def counting(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                answered[plane, message["status"]] += 1
            return send(message)

        return counting

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        await self.house.gateway.startup()
        worker = await run_in_threadpool(self._start) if self.background else None
        try:
            yield
        finally:
            if self.background:
                await run_in_threadpool(self._stop, worker)
            await self.house.gateway.shutdown()

    def _start(self) -> EmbeddedWorker | None:
        """The pulse of the journal, and without a broker the worker and its clock."""
        queue = Queue(self.house)
        self.house.queue = queue.send
        self.house.pulse.start()
        if not queue.embedded:
            return None
        worker = EmbeddedWorker(queue)
        worker.start()
        return worker

    def _stop(self, worker: EmbeddedWorker | None) -> None:
        if worker is not None:
            worker.stop()
        self.house.pulse.stop()


def _is_data(path: str, house: House) -> bool:
    """Whether the data plane answers; the market speaks of its own health when both stand together."""
    return path not in {"/healthz", "/readyz"} and house.gateway.serves(path)


def create(settings: Settings | None = None) -> Front:
    """The application a server starts: settings from the environment unless given."""
    return Front(House(settings or Settings()))
