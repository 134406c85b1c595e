"""The processes of a market: everything in one, or the worker on its own."""

from typing import Annotated

import typer

from market.app import Front
from market.cli.data_plane import listener_of, say_where
from market.cli.environment import require_keys, settings
from market.cli.opening import opened
from market.cli.problems import BrokerMissing, WorkerSilent
from market.cli.showing import welcome
from market.cli.terminal import JsonFlag, say
from market.worker import answers, run_worker
from metering.gateway.server import serve_until_told


def serve(as_json: JsonFlag = False) -> None:
    """启动市场 Start pages, API, data plane and (without a broker) the worker, in one process."""
    with opened(schema=False) as house:
        house.migrate()
        require_keys(house.store, house.settings.metering)
        if house.settings.demo:
            welcome(house, quiet=as_json)
        listener = listener_of(house.settings)
        say_where(house.settings, as_json=as_json)
        front = Front(house)
        serve_until_told(front, listener, house.settings.trusted_proxies, front.at_once)


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
