"""The director's side: gateways to start, stop and kill, and crowds that ask them."""

import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
from collections import Counter
from pathlib import Path
from typing import Any, Self

from tests.faults.moments import Moment, Point
from tests.faults.processes import alive
from tests.faults.wire import eventually
from tests.faults.world import SLUG, World
from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[2]


class Launcher:
    """The process that gateways are forked from; one is enough for many fleets."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.launcher"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith("SHUGANG_")},
        )  # fmt: skip
        self._heard()

    def _heard(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the launcher is gone"
        return line

    def fork(self, order: dict[str, Any]) -> int:
        """The process id of a gateway about to start."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._heard())

    def close(self) -> None:
        """End it, and with it every gateway that is left."""
        self._process.communicate(timeout=10)


class Fleet:
    """Gateways of one world; `kills` counts where each died with charges in flight."""

    def __init__(
        self, launcher: Launcher, world: World, size: int, *, bug: str | None = None, url: str | None = None
    ) -> None:
        self.launcher, self.world, self.bug, self.url = launcher, world, bug, url or world.url
        self.kills: Counter[Point] = Counter()
        self.idle_kills = 0
        self.gateways = [Gateway(self) for _ in range(size)]
        for gateway in self.gateways:
            gateway.start()
        for gateway in self.gateways:
            gateway.ready()

    @property
    def ports(self) -> list[int]:
        return [gateway.port for gateway in self.gateways]

    def tokens(self, licenses: list[str]) -> dict[str, str]:
        """An access token for each license, from a gateway."""
        pair = base64.b64encode(f"{self.world.client}:{self.world.secret}".encode()).decode()
        headers = {
            "Authorization": f"Basic {pair}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        line = http.client.HTTPConnection("127.0.0.1", self.ports[0], timeout=60)
        found = {}
        for license_id in licenses:
            form = {"grant_type": "client_credentials", "license": license_id, "purpose": "internal_business"}
            line.request("POST", "/oauth/token", urllib.parse.urlencode(form), headers)
            answer = line.getresponse()
            raw = answer.read()
            assert answer.status == 200, raw
            told = json.loads(raw)
            found[license_id] = told["access_token"]
        line.close()
        return found

    def close(self) -> None:
        """End every gateway."""
        for gateway in self.gateways:
            gateway.end()


class Gateway:
    """One gateway: a port that stays and a process that does not."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.port = free_port()
        name = f"gateway-{self.port}"
        self._moment_path = fleet.world.folder / f"{name}.moment"
        self.moment = Moment(self._moment_path)
        self._log = fleet.world.folder / f"{name}.log"
        self.pid = 0
        self.due: Point | None = None

    def start(self, point: Point | None = None, at: int = 0) -> None:
        """Start; it kills itself the `at`-th time it reaches `point`."""
        self.due = point
        self.pid = self._fleet.launcher.fork(
            {
                "environment": self._fleet.world.environment(self.port, self._fleet.url),
                "moment": str(self._moment_path),
                "log": str(self._log),
                "point": None if point is None else int(point),
                "at": at,
                "bug": self._fleet.bug,
            }
        )

    @property
    def dead(self) -> bool:
        return not alive(self.pid)

    def answers(self) -> bool:
        """Whether /readyz says yes. Raises AssertionError when the gateway died."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            line.request("GET", "/readyz")
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            assert not self.dead or self.due is not None, self.log()[-3000:]
            return self.dead
        finally:
            line.close()

    def ready(self) -> None:
        """Wait until it serves."""
        eventually(self.answers, 60)

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP, SIGCONT or SIGKILL to this gateway alone."""
        with contextlib.suppress(ProcessLookupError):  # it may just have killed itself
            os.kill(self.pid, number)

    def bury(self) -> None:
        """Count where it died; one without a charge in flight does not count."""
        eventually(lambda: self.dead, 10)
        moment = self.moment
        if moment.in_flight:
            self._fleet.kills[moment.point] += 1
        else:
            self._fleet.idle_kills += 1

    def end(self) -> None:
        """Kill at the end of a run, when nobody asks any more."""
        if not self.dead:
            self.signal(signal.SIGKILL)
            eventually(lambda: self.dead, 10)

    def log(self) -> str:
        """What it wrote so far, over all its starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


class Crowds:
    """Clients in processes of their own, for a while: `with Crowds(...)`."""

    def __init__(
        self,
        fleet: Fleet,
        licenses: list[str],
        notes: list[Path],
        *,
        seed: int,
        size: int = 48,
        processes: int = 2,
        folder: Path | None = None,
    ) -> None:
        tokens = fleet.tokens(licenses)
        self._processes = []
        for number in range(processes):
            path = (folder or fleet.world.folder) / f"notes-{len(notes)}"
            notes.append(path)
            orders = {
                "ports": fleet.ports, "tokens": tokens, "path": f"/data/v1/{SLUG}/rows", "retried": 0.75,
                "size": size // processes, "seed": seed * 100 + number, "notes": str(path),
            }  # fmt: skip
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.crowd"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            )  # fmt: skip
            assert process.stdin is not None
            process.stdin.write(json.dumps(orders) + "\n")
            process.stdin.flush()
            self._processes.append(process)

    @property
    def acknowledged(self) -> int:
        """How many answers all of them had so far."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("?\n")
            process.stdin.flush()
        return sum(int(process.stdout.readline()) for process in self._processes if process.stdout)

    def until(self, acknowledged: int, seconds: float = 60) -> None:
        """Wait for so many answers."""
        deadline = time.monotonic() + seconds
        while self.acknowledged < acknowledged:
            assert time.monotonic() < deadline, (
                f"{self.acknowledged} of {acknowledged} answers in {seconds} s"
            )
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            process.wait(90)
            assert process.stdout is not None
            process.stdout.close()
