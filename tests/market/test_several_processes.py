"""`shugang gateway --processes 2`: one address; who dies is replaced and nobody is turned away; all end together."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from market.house import House
from tests import servers
from tests.faults.processes import alive, children_with
from tests.faults.wire import eventually
from tests.live import ROOT


class Crew:
    """The gateway and its processes."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log

    def workers(self) -> set[int]:
        """Those who answer; the interpreter's own helper is none of them."""
        return {pid for pid in children_with(self.process.pid, "--multiprocessing-fork") if alive(pid)}

    def ask(self, _: int = 0) -> int:
        """Whether one is ready, asked on a connection of its own; the status."""
        return httpx2.get(f"http://127.0.0.1:{self.port}/readyz", timeout=30, trust_env=False).status_code

    def asked(self, times: int) -> set[int]:
        """The same by many at once."""
        with ThreadPoolExecutor(16) as crowd:
            return set(crowd.map(self.ask, range(times)))


@pytest.fixture
def crew(house: House, database_url: str, tmp_path: Path) -> Iterator[Crew]:
    port = servers.free_port()
    given = {
        "DATA_DIR": str(house.settings.data_dir),
        "STORAGE__DATABASE_URL": database_url,
        "PORT": str(port),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SHUGANG_")}
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "market.cli", "gateway", "--processes", "2"],
            cwd=ROOT,
            env=inherited | {f"SHUGANG_{name}": value for name, value in given.items()},
            stdout=file,
            stderr=file,
        )
    try:
        assert servers.wait_for(f"http://127.0.0.1:{port}/readyz", process, seconds=60), log.read_text()[
            -2000:
        ]
        yield Crew(process, port, log)
    finally:
        process.kill()
        process.wait()


def test_who_dies_is_replaced_and_nobody_is_turned_away(crew: Crew) -> None:
    before = crew.workers()
    assert len(before) == 2
    assert crew.asked(40) == {200}
    dead = min(before)
    os.kill(dead, signal.SIGKILL)
    assert crew.asked(40) == {200}  # half of them knock where it was
    eventually(lambda: len(crew.workers() - {dead}) == 2)
    assert f"pid={dead}" in crew.log.read_text()
    crew.process.terminate()
    assert crew.process.wait(30) == 0, crew.log.read_text()[-2000:]
    assert not any(map(alive, before))


def test_nobody_outlives_the_one_who_began_them(crew: Crew) -> None:
    before = crew.workers()
    crew.process.kill()
    crew.process.wait()
    eventually(lambda: not any(map(alive, before)))
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the gateway
        free.bind(("127.0.0.1", crew.port))
