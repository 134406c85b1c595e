"""What the event loop does itself instead of a thread: only while that does not hold it too long."""

import time
from types import TracebackType

_WAITING = (
    10  # so many seconds of waiting hold the loop like one of work: others may have the interpreter meanwhile
)
_REST, _LONGEST_REST = 0.1, 30.0  # seconds, doubled as long as it does not get better


class Restraint:
    """Allows it until it took longer than `most` seconds of work, and again after a rest. For one event loop.

    What is done stands in a `with` block. Longer once is a hiccup of the machine, which a rest would only prolong;
    longer twice in a row counts, and so does what had to be broken off.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._rest = self._until = 0.0
        self._began = (0.0, 0.0)
        self._was_long = False

    @property
    def may(self) -> bool:
        """Whether it may be done on the loop now."""
        return not self._until or time.monotonic() >= self._until

    def __enter__(self) -> float:
        """The processor time of this thread, in seconds."""
        worked = time.thread_time()
        self._began = time.monotonic(), worked
        return worked

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        began, worked = self._began
        took = time.monotonic() - began
        # Who was quick has not worked long, and the processor's time is asked of the kernel.
        if took < self._most or max(time.thread_time() - worked, took / _WAITING) < self._most:
            if error is None:  # a refusal tells nothing of how long it takes
                self._rest = self._until = 0.0
                self._was_long = False
            return
        again, self._was_long = self._was_long, True
        if error is None and not again and not self._rest:
            return
        self._rest = min(max(2 * self._rest, _REST), _LONGEST_REST)
        self._until = time.monotonic() + self._rest
