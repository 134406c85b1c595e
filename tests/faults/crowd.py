"""A crowd of keep-alive clients in one process; each writes down what it sent and what it was answered.

Reads its orders as one JSON line on stdin, ends in good order at the end of stdin, and prints how many it had
acknowledged each time it is told something new. Lines of the notes: see `Note` in `notes`.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import deque
from typing import Any, TextIO

from metering.gate import new_charge_key

PATIENCE_SECONDS = 20.0  # how long a key is tried again before its outcome stays unknown
ROWS = 5


class Crowd:
    """What the members share: whom to ask, the notes, and requests that another one sends at the same time, by port."""

    def __init__(self, orders: dict[str, Any], notes: TextIO) -> None:
        self.ports: list[int] = orders["ports"]
        self.tokens: dict[str, str] = orders["tokens"]
        self.path: str = orders["path"]
        self.retried: float = orders["retried"]
        self.size: int = orders["size"]
        self.notes = notes
        self.dice = random.Random(orders["seed"])
        self.licenses = list(self.tokens)
        self.refused = dict.fromkeys(self.licenses, 0)
        self.mirrored: dict[int, deque[tuple[str, str, int]]] = {port: deque() for port in self.ports}
        self.acknowledged = 0
        self.over = False

    def license(self) -> str:
        """Any license, but seldom one that has only refused lately."""
        chosen: str = self.dice.choice(self.licenses)
        while self.refused[chosen] > 20 and self.dice.random() > 0.05:
            chosen = self.dice.choice(self.licenses)
        return chosen


class Member:
    """One connection at a time; when it breaks, the next one goes to any gateway."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self._crowd = crowd
        self._port = crowd.ports[number % len(crowd.ports)]
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self) -> None:
        crowd = self._crowd
        while not crowd.over:
            if mirrored := crowd.mirrored[self._port]:
                license_id, key, rows = mirrored.popleft()
            else:
                license_id, key = crowd.license(), new_charge_key()
                rows = crowd.dice.randint(1, ROWS)
                if crowd.dice.random() < 1 / 8:
                    crowd.mirrored[crowd.dice.choice(crowd.ports)].append((license_id, key, rows))
            outcome = await self._settled(license_id, key, rows)
            if outcome == "200" and crowd.dice.random() < 1 / 64:
                await self._ask(license_id, key, rows % ROWS + 1)  # another request under the same key
        self._hang_up()

    async def _settled(self, license_id: str, key: str, rows: int) -> str:
        """Ask; of what was not told, ask a share again with the same key until it is told."""
        crowd, began = self._crowd, time.monotonic()
        again = crowd.dice.random() < crowd.retried
        while True:
            outcome = await self._ask(license_id, key, rows)
            told = outcome not in {"lost", "cut"} and not outcome.startswith("503")
            if outcome == "away":
                await asyncio.sleep(0.02)
                if crowd.over and time.monotonic() - began > PATIENCE_SECONDS:
                    return outcome
                if not crowd.over:
                    continue
            if told or not again or time.monotonic() - began > PATIENCE_SECONDS:
                return outcome
            await asyncio.sleep(0.01)

    async def _ask(self, license_id: str, key: str, rows: int) -> str:
        crowd = self._crowd
        try:
            reader, writer = await self._connected()
        except OSError:
            self._hang_up()
            return "away"  # nothing was sent
        sent, charge, duplicate, outcome = time.monotonic_ns(), "-", "-", "lost"
        writer.write(
            f"GET {crowd.path}?limit={rows} HTTP/1.1\r\nHost: gateway\r\n"
            f"Authorization: Bearer {crowd.tokens[license_id]}\r\nIdempotency-Key: {key}\r\n\r\n".encode()
        )
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = head[0].split(" ")[1]
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            if status == "200":
                outcome, charge = "cut", fields.get("x-charge-id", "none")
                duplicate = "again" if "x-charge-duplicate" in fields else "first"
            body = await reader.readexactly(int(fields["content-length"]))
            outcome = status if status == "200" else f"{status}:{_problem(body)}"
        except (OSError, EOFError):
            self._hang_up()
        told = time.monotonic_ns()
        crowd.notes.write(
            f"{sent} {told} {self._port} {license_id} {key} {rows} {outcome} {charge} {duplicate}\n"
        )
        crowd.acknowledged += outcome == "200"
        crowd.refused[license_id] = 0 if outcome == "200" else crowd.refused[license_id] + (outcome[0] == "4")
        return outcome

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._line is None:
            self._line = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self._port), 5)
        return self._line

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line[1].close()
            self._line = None
        self._port = self._crowd.dice.choice(self._crowd.ports)


def _problem(body: bytes) -> str:
    try:
        return str(json.loads(body)["type"]).rpartition("/")[2]
    except (ValueError, KeyError):
        return "-"


async def work() -> None:
    """Go on until stdin ends."""
    loop = asyncio.get_running_loop()
    orders = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    with open(orders["notes"], "w", encoding="ascii") as notes:  # noqa: PTH123, ASYNC230  # before anything is asked
        crowd = Crowd(orders, notes)
        members = [asyncio.create_task(Member(crowd, number).run()) for number in range(crowd.size)]
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(crowd.acknowledged, flush=True)
        crowd.over = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*members), 2 * PATIENCE_SECONDS)


if __name__ == "__main__":
    asyncio.run(work())
