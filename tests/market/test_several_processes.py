"""`shugang gateway --processes 2`: one address; who dies is replaced and nobody is turned away; all end together."""

import json
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
import sqlalchemy as sa

from market.house import House
from storage.database import Database
from tests import servers
from tests.faults.processes import alive, children_with
from tests.faults.wire import eventually
from tests.live import ROOT


class Crew:
    """The gateway and its processes."""

    def __init__(self, port: int, log: Path, environment: dict[str, str]) -> None:
        self.port, self.log, self._environment = port, log, environment
        self.process = self.begin(log)

    def begin(self, log: Path) -> "subprocess.Popen[bytes]":
        """The command, which writes what it says into `log`."""
        with log.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "market.cli", "gateway", "--processes", "2"],
                cwd=ROOT,
                env=self._environment,
                stdout=file,
                stderr=file,
            )

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
    crew = Crew(
        port, tmp_path / "log", inherited | {f"SHUGANG_{name}": value for name, value in given.items()}
    )
    ready = f"http://127.0.0.1:{port}/readyz"
    try:
        assert servers.wait_for(ready, crew.process, seconds=120), crew.log.read_text()[-2000:]
        yield crew
    finally:
        crew.process.kill()
        crew.process.wait()


def test_who_dies_is_replaced_and_nobody_is_turned_away(crew: Crew) -> None:
    before = crew.workers()
    assert len(before) == 2
    assert crew.asked(40) == {200}
    dead = min(before)
    os.kill(dead, signal.SIGKILL)
    assert crew.asked(40) == {200}  # half of them knock where it was
    eventually(lambda: len(crew.workers() - {dead}) == 2)
    notes = [json.loads(line) for line in crew.log.read_text().splitlines() if line.startswith("{")]
    assert [(each["event"], each["pid"]) for each in notes] == [("process.ended", dead)]
    crew.process.terminate()
    assert crew.process.wait(30) == 0, crew.log.read_text()[-2000:]
    assert not any(map(alive, before))


def test_the_port_is_theirs_alone(crew: Crew) -> None:
    again = crew.begin(crew.log.with_name("again"))
    assert again.wait(30) == 1
    assert "SHUGANG_PORT" in crew.log.with_name("again").read_text()
    assert crew.asked(16) == {200}


def test_where_nobody_can_get_to_work_all_end(crew: Crew, database: Database) -> None:
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'another'"))
    os.kill(min(crew.workers()), signal.SIGKILL)
    assert crew.process.wait(180) == 1  # the new one has to start before it can fail
    said = crew.log.read_text()
    assert "数据库结构" in said
    assert "Traceback" not in said


def test_nobody_outlives_the_one_who_began_them(crew: Crew) -> None:
    before = crew.workers()
    crew.process.kill()
    crew.process.wait()
    eventually(lambda: not any(map(alive, before)))
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the gateway
        free.bind(("127.0.0.1", crew.port))
