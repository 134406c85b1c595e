"""The processes of a market: everything in one, or the data plane and the worker on their own."""

import socket
from typing import Annotated

import typer

from market.app import Front
from market.cli.opening import opened, refusing, require_keys, require_schema, settings
from market.cli.problems import BrokerMissing, PortTaken, WorkerSilent
from market.cli.showing import welcome
from market.cli.terminal import JsonFlag, say
from market.settings import Settings
from market.worker import answers, run_worker
from metering.gateway.app import Gateway, build_gateway
from metering.gateway.server import serve_until_told
from storage.database import Database
from storage.objects import open_objects
from storage.unit import Store


def serve(as_json: JsonFlag = False) -> None:
    """启动市场 Start pages, API, data plane and (without a broker) the worker, in one process."""
    with opened(schema=False) as house:
        house.migrate()
        require_keys(house.store, house.settings.metering)
        if house.settings.demo:
            welcome(house, quiet=as_json)
        listen(Front(house), house.settings, as_json=as_json)


def gateway(as_json: JsonFlag = False) -> None:
    """仅启动数据面 Start the data plane alone: tokens, rows, downloads, open data; needs no market process."""
    with refusing():
        settled = settings().settled()
        database = Database(settled.storage.database_url, settled.storage.pool_size)
    try:
        store = Store(database)
        require_schema(store)
        require_keys(store, settled.metering)
        with refusing():
            objects = open_objects(settled.storage.objects_url)
        app = build_gateway(
            store,
            objects,
            settled.metering,
            public_url=settled.public_url,
            zone=settled.timezone,
            folder=settled.data_dir / "cache",
        )
        listen(app, settled, as_json=as_json)
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


def listen(app: Front | Gateway, settled: Settings, *, as_json: bool) -> None:
    """Serve until interrupted. Raises PortTaken."""
    with socket.socket(socket.AF_INET6 if ":" in settled.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settled.host, settled.port))
        except OSError:
            raise PortTaken(host=settled.host, port=settled.port) from None
    say(as_json, f"数港 Shugang: {settled.public_url}", url=settled.public_url, port=settled.port)
    serve_until_told(app, settled.host, settled.port, settled.trusted_proxies, app.at_once)
