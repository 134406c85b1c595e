"""限速 Fair use: a bucket per caller in this process; approximate on purpose, quotas never are."""

import threading
import time
from collections.abc import Callable
from math import ceil

from metering.problems import TooManyRequests

_CALLERS = 50_000


class Allowance:
    """What is left to a caller after one request, as the RateLimit headers say it."""

    __slots__ = ("_burst", "_full_in", "_left")

    def __init__(self, burst: "Burst", left: int, full_in: int) -> None:
        self._burst = burst
        self._left = left
        self._full_in = full_in  # seconds

    def headers(self) -> dict[str, str]:
        """For an answer made of text."""
        limit = f'"{self._burst.name}";r={self._left};t={self._full_in}'
        return {"RateLimit-Policy": self._burst.policy, "RateLimit": limit}

    def head(self) -> bytes:
        """The same as lines."""
        return self._burst.head % (self._left, self._full_in)


class Burst:
    """A token bucket per caller that refills evenly over a minute and holds a tenth of it at once."""

    def __init__(self, per_minute: int, name: str, now: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self.name = name
        self._most = max(1.0, per_minute / 10)
        self._rate = per_minute / 60
        self._now = now
        window = ceil(
            round(self._most / self._rate, 6)
        )  # seconds in which all that is given at once comes back
        self.policy = f'"{name}";q={int(self._most)};w={window}'
        self.head = f'ratelimit-policy: {self.policy}\r\nratelimit: "{name}";r=%d;t=%d\r\n'.encode()
        self._left: dict[str, tuple[float, float]] = {}  # who came last stands last
        self._guard = threading.Lock()

    def has_left(self, caller: str) -> bool:
        """Whether there is one to take."""
        return self._filled(caller, self._now()) >= 1

    def _filled(self, caller: str, now: float) -> float:
        left, since = self._left.get(caller, (self._most, now))
        return min(left + (now - since) * self._rate, self._most)

    def take(self, caller: str) -> Allowance:
        """Take one. Raises TooManyRequests with Retry-After."""
        now = self._now()
        with self._guard:
            left = self._filled(caller, now)
            self._left.pop(caller, None)
            taken = left >= 1
            if taken:
                left -= 1
            self._left[caller] = (left, now)
            if len(self._left) > _CALLERS:
                del self._left[next(iter(self._left))]
        allowance = Allowance(self, int(left), int((self._most - left) / self._rate) + 1)
        if not taken:
            problem = TooManyRequests()
            problem.headers |= allowance.headers() | {"Retry-After": str(int((1 - left) / self._rate) + 1)}
            raise problem
        return allowance
