"""多进程 The same work in several processes at one address; who ends before they are told to is begun anew."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from socket import socket

import structlog

log = structlog.get_logger(__name__)
Work = Callable[[socket], None]
_ENDING = (signal.SIGTERM, signal.SIGINT)
_REST_SECONDS = 1.0  # between two beginnings in one place
_GRACE_SECONDS = 15  # for those who were told to end, as the server's own and the till's last batch


def several(listeners: Sequence[socket], work: Work) -> None:
    """Run `work`, a function of a module, with each listener in a process of its own until SIGTERM or SIGINT.

    The kernel shares out among the listeners who connects. They stay open here, too: who knocks where a process has
    died is not turned away, but heard by the next one.
    """
    told, tell = os.pipe()
    before = {number: signal.signal(number, lambda *_: os.write(tell, b".")) for number in _ENDING}
    places = [_Place(listener, work) for listener in listeners]
    try:
        while told not in wait([told, *(place.process.sentinel for place in places)]):
            for place in places:
                if not place.process.is_alive():
                    log.warning("process.ended", pid=place.process.pid, code=place.process.exitcode)
                    if wait([told], place.rest()):
                        return
                    place.begin()
    finally:
        for place in places:
            place.process.terminate()
        end = time.monotonic() + _GRACE_SECONDS
        for place in places:
            place.end(end)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(told)
        os.close(tell)


_ENDING = (signal.SIGTERM, signal.SIGINT)


class _Place:
    """A listener and the process that has it now."""

    process: SpawnProcess

    def __init__(self, listener: socket, work: Work) -> None:
        self._listener = listener
        self._work = work
        self.begin()

    def begin(self) -> None:
        """Begin a process; nothing of this one is in it but the listener."""
        self._begun = time.monotonic()
        self.process = multiprocessing.get_context("spawn").Process(target=self._work, args=(self._listener,))
        self.process.start()

    def rest(self) -> float:
        """Seconds until one may be begun again."""
        return max(0.0, self._begun + _REST_SECONDS - time.monotonic())

    def end(self, until: float) -> None:
        """Wait for the process until that moment of the monotonic clock, then kill it."""
        self.process.join(max(0.0, until - time.monotonic()))
        if self.process.is_alive():
            log.warning("process.killed", pid=self.process.pid)
            self.process.kill()
            self.process.join()
        self._listener.close()
