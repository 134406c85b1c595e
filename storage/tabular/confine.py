"""Bounds for a process that reads a stranger's file: memory, time, no core file, and no life after its parent."""

import ctypes
import os
import resource
import signal
import sys

ADDRESS_SLACK = 3 << 30  # code, thread stacks and the allocator's reserve beside the engine's memory
_PDEATHSIG = 1


def confine(*, parent: int, memory_bytes: int, cpu_seconds: int | None = None) -> None:
    """Bound this process; end it with `parent` (a process id), also when that one is gone already."""
    space = memory_bytes + ADDRESS_SLACK
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    if cpu_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we could ask to be told
        sys.exit(1)
