"""wrk, and what it says: answers a second, how many were not 2xx, who used the processors meanwhile."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Answered:
    """One turn of load."""

    per_second: float
    p99_ms: float
    cpu_share: float  # of the server, in processors


def wrk(
    url: str, seconds: int, pid: int, *, headers: Sequence[str] = (), script: Path | None = None
) -> Answered:
    """Ask with 64 connections. Raises RuntimeError unless every answer was 2xx, and when wrk is missing."""
    program = shutil.which("wrk")
    if program is None:
        raise RuntimeError("wrk is missing: apt-get install wrk")
    command = [program, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    command += [part for header in headers for part in ("-H", header)]
    command += ["-s", str(script)] if script else []
    before, start = cpu_seconds(pid), time.monotonic()
    said = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    share = (cpu_seconds(pid) - before) / (time.monotonic() - start)
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"not every answer was good: {said}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    if rate is None or p99 is None:
        raise RuntimeError(f"wrk said: {said}")
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]
    return Answered(float(rate[1]), float(p99[1]) * scale, share)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its children, in seconds."""
    ticks = 0
    for each in (pid, *_children(pid)):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in listed.read_text().split():
            found += [int(child), *_children(int(child))]
    return found
