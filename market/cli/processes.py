"""The processes of a market: everything in one, or the data plane and the worker on their own."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from market.app import Front
from market.cli.opening import opened, refusing, require_keys, require_schema, settings
from market.cli.problems import BrokerMissing, PortTaken, WorkerSilent
from market.cli.several import several
from market.cli.showing import welcome
from market.cli.terminal import JsonFlag, refusals, say
from market.settings import Settings
from market.worker import answers, run_worker
from metering.gateway.app import Gateway, build_gateway
from metering.gateway.server import bound, serve_until_told
from storage.database import open_database
from storage.objects import open_objects
from storage.unit import Store


def serve(as_json: JsonFlag = False) -> None:
    """启动市场 Start pages, API, data plane and (without a broker) the worker, in one process."""
    with opened(schema=False) as house:
        house.migrate()
        require_keys(house.store, house.settings.metering)
        if house.settings.demo:
            welcome(house, quiet=as_json)
        listener = _listener(house.settings)
        _say_where(house.settings, as_json=as_json)
        _answer(Front(house), listener, house.settings)


def gateway(
    processes: Annotated[
        int,
        typer.Option(min=1, max=64, help="几个进程共用一个端口 So many processes share the port."),
    ] = 1,
    as_json: JsonFlag = False,
) -> None:
    """仅启动数据面 Start the data plane alone: tokens, rows, downloads, open data; needs no market process."""
    with _data_plane() as (app, settled):
        listener = _listener(settled)
        _say_where(settled, as_json=as_json)
        if processes == 1:
            _answer(app, listener, settled)
            return
        listener.close()  # nobody else has the port
        listeners = [_listener(settled, shared=True) for _ in range(processes)]
    if not several(listeners, _answer_as_one_of_them):
        raise typer.Exit(1)


def _answer_as_one_of_them(listener: socket.socket) -> None:
    with refusals(as_json=False), _data_plane() as (app, settled):
        _answer(app, listener, settled)


@contextmanager
def _data_plane() -> Iterator[tuple[Gateway, Settings]]:
    with refusing():
        settled = settings().settled()
        database = open_database(settled.storage)
    try:
        store = Store(database)
        require_schema(store)
        require_keys(store, settled.metering)
        with refusing():
            objects = open_objects(settled.storage.objects_url)
        folder = settled.data_dir / "cache"
        app = build_gateway(
            store,
            objects,
            settled.metering,
            public_url=settled.public_url,
            zone=settled.timezone,
            folder=folder,
        )
        yield app, settled
    finally:
        database.close()


def worker(
    check: Annotated[
        bool,
        typer.Option("--check", help="询问本机工作进程 Ask the worker of this machine whether it answers."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """启动工作进程 Start a worker with its clock on the broker: cleansing, mail, what time makes due."""
    if not settings().broker_url:
        raise BrokerMissing
    with opened() as house:
        if check:
            if not answers(house):
                raise WorkerSilent
            say(as_json, "工作进程正常 The worker answers", ok=True)
            return
        say(as_json, "工作进程已启动 Worker started", started="worker")
        run_worker(house)


def _listener(settled: Settings, *, shared: bool = False) -> socket.socket:
    """Raises PortTaken."""
    try:
        return bound(settled.host, settled.port, shared=shared)
    except OSError:
        raise PortTaken(host=settled.host, port=settled.port) from None


def _say_where(settled: Settings, *, as_json: bool) -> None:
    say(as_json, f"数港 Shugang: {settled.public_url}", url=settled.public_url, port=settled.port)


def _answer(app: Front | Gateway, listener: socket.socket, settled: Settings) -> None:
    """Serve until interrupted."""
    serve_until_told(app, listener, settled.trusted_proxies, app.at_once)
