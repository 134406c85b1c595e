"""熔断 A breaker per upstream in this process: after failures in a row it rests, then is tried once."""

import threading
import time
from collections.abc import Callable

import structlog

from metering.problems import UpstreamResting
from metering.words import BreakerState

log = structlog.get_logger(__name__)


class Breaker:
    """熔断器. Ask `enter` before a call; tell it whether the upstream `succeeded` or `failed`; always `leave`."""

    def __init__(
        self,
        name: str,
        *,
        failures: int,
        seconds: float,
        parallel: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._most_failures = failures
        self._seconds = seconds
        self._parallel = parallel
        self._now = now
        self._failures = 0
        self._open_until = 0.0
        self._under_way = 0
        self._tried = False  # while half open, one call is under way as the trial
        self._guard = threading.Lock()
        self.state = BreakerState.CLOSED

    def enter(self) -> bool:
        """Begin a call; returns whether it is the trial after a rest. Raises UpstreamResting."""
        with self._guard:
            if self.state is BreakerState.OPEN:
                left = self._open_until - self._now()
                if left > 0:
                    raise UpstreamResting(retry_after=int(left) + 1, reason="open")
                self._become(BreakerState.HALF_OPEN)
            if self._tried:
                raise UpstreamResting(retry_after=1, reason="half_open")
            if self._under_way >= self._parallel:
                raise UpstreamResting(retry_after=1, reason="busy")
            self._under_way += 1
            self._tried = self.state is BreakerState.HALF_OPEN
            return self._tried

    def succeeded(self) -> None:
        """The upstream did its part."""
        with self._guard:
            self._failures = 0
            if self.state is BreakerState.HALF_OPEN:
                self._become(BreakerState.CLOSED)

    def failed(self) -> None:
        """The upstream failed; enough in a row, or once while it is tried, and it rests."""
        with self._guard:
            self._failures += 1
            if self.state is BreakerState.HALF_OPEN or self._failures >= self._most_failures:
                self._open_until = self._now() + self._seconds
                if self.state is not BreakerState.OPEN:
                    self._become(BreakerState.OPEN)

    def leave(self, *, trial: bool) -> None:
        """The call is over, however it ended. A trial without a verdict lets the next call be the trial."""
        with self._guard:
            self._under_way -= 1
            if trial:
                self._tried = False

    def _become(self, state: BreakerState) -> None:
        log.warning("upstream.breaker", upstream=self._name, before=str(self.state), now=str(state))
        self.state = state
