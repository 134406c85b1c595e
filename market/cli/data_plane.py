"""The data plane on its own, in one process or several, and how every process of ours listens."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from market.cli.environment import opened_store, refusing, require_keys
from market.cli.problems import PortTaken
from market.cli.several import several
from market.cli.terminal import JsonFlag, refusals, say
from market.settings import Settings
from metering.gateway.app import Gateway, build_gateway
from metering.gateway.server import bound, serve_until_told
from storage.objects import open_objects


def gateway(
    processes: Annotated[
        int,
        typer.Option(min=1, max=64, help="几个进程共用一个端口 So many processes share the port."),
    ] = 1,
    as_json: JsonFlag = False,
) -> None:
    """仅启动数据面 Start the data plane alone: tokens, rows, downloads, open data; needs no market process."""
    with _data_plane() as (app, settled):
        listener = listener_of(settled)
        say_where(settled, as_json=as_json)
        if processes == 1:
            serve_until_told(app, listener, settled.trusted_proxies, app.at_once)
            return
        listener.close()  # nobody else has the port
        listeners = [listener_of(settled, shared=True) for _ in range(processes)]
    if not several(listeners, _answer_as_one_of_them):
        raise typer.Exit(1)


def _answer_as_one_of_them(listener: socket.socket) -> None:
    with refusals(as_json=False), _data_plane() as (app, settled):
        serve_until_told(app, listener, settled.trusted_proxies, app.at_once)


@contextmanager
def _data_plane() -> Iterator[tuple[Gateway, Settings]]:
    with opened_store() as (store, settled):
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


def listener_of(settled: Settings, *, shared: bool = False) -> socket.socket:
    """A socket at the address of the settings. Raises PortTaken."""
    try:
        return bound(settled.host, settled.port, shared=shared)
    except OSError:
        raise PortTaken(host=settled.host, port=settled.port) from None


def say_where(settled: Settings, *, as_json: bool) -> None:
    """Print the address under which we are known."""
    say(as_json, f"数港 Shugang: {settled.public_url}", url=settled.public_url, port=settled.port)
