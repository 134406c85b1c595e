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
_SOON_SECONDS = 15.0  # who ends before has not got to work
_TRIES = 3  # that end so soon, one after the other
_GRACE_SECONDS = (
    30.0  # for who was told to end: the answers under way, the till's last batch, what was delivered
)


def several(listeners: Sequence[socket], work: Work) -> bool:
    """Run `work`, a function of a module, with each listener in a process of its own until SIGTERM or SIGINT.

    The kernel shares out among the listeners who connects. They stay open here, too: who knocks where a process has
    died is not turned away, but heard by the next one. False when nobody gets to work in some place: then all end.
    """
    told, tell = os.pipe()
    before = {number: signal.signal(number, lambda *_: os.write(tell, b".")) for number in _ENDING}
    places = [_Place(listener, work) for listener in listeners]
    try:
        while all(place.filled() for place in places):
            living = [place.process.sentinel for place in places if place.process is not None]
            vacant = len(living) < len(places)
            if told in wait([told, *living], _REST_SECONDS if vacant else None):
                return True
        return False
    finally:
        _end(places)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(told)
        os.close(tell)


class _Place:
    """A listener and the process that has it now."""

    process: SpawnProcess | None = None

    def __init__(self, listener: socket, work: Work) -> None:
        self.listener = listener
        self._work = work
        self._begun = -_REST_SECONDS
        self._in_vain = 0

    def filled(self) -> bool:
        """Begin a process where there is none, after a rest; False when that was in vain too often."""
        age = time.monotonic() - self._begun
        if self.process is not None:
            if self.process.is_alive():
                return True
            log.warning("process.ended", pid=self.process.pid, code=self.process.exitcode)
            self.process = None
            self._in_vain = self._in_vain + 1 if age < _SOON_SECONDS else 0
        if self._in_vain < _TRIES and age >= _REST_SECONDS:
            self._begin()
        return self._in_vain < _TRIES

    def _begin(self) -> None:
        self._begun = time.monotonic()
        # Nothing of this process is in it but the listener.
        process = multiprocessing.get_context("spawn").Process(target=self._work, args=(self.listener,))
        try:
            process.start()
        except OSError as error:  # no memory, no process: for now
            log.warning("process.not_begun", error=str(error))
        else:
            self.process = process


def _end(places: Sequence[_Place]) -> None:
    """Tell them all, wait a while, kill who is left. Whoever knocks from now on is turned away at once."""
    for place in places:
        place.listener.close()
    running = [place.process for place in places if place.process is not None]
    for process in running:
        process.terminate()
    end = time.monotonic() + _GRACE_SECONDS
    for process in running:
        process.join(max(0.0, end - time.monotonic()))
        if process.is_alive():
            log.warning("process.killed", pid=process.pid)
            process.kill()
            process.join()
