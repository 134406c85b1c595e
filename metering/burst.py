"""限速 Fair use: a bucket per caller in this process; approximate on purpose, quotas never are."""

import threading
import time
from collections.abc import Callable

from metering.problems import TooManyRequests

_CALLERS = 50_000


class Burst:
    """A token bucket per caller that refills evenly over a minute and holds a tenth of it at once."""

    def __init__(self, per_minute: int, name: str, now: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self.name = name
        self._most = max(1.0, per_minute / 10)
        self._rate = per_minute / 60
        self._now = now
        self._policy = f'"{name}";q={per_minute};w=60'
        self._left: dict[str, tuple[float, float]] = {}  # who came last stands last
        self._guard = threading.Lock()

    def take(self, caller: str) -> dict[str, str]:
        """Take one. Returns the RateLimit headers; raises TooManyRequests with Retry-After."""
        now = self._now()
        with self._guard:
            left, since = self._left.pop(caller, (self._most, now))
            left += (now - since) * self._rate
            left = min(left, self._most)
            taken = left >= 1
            if taken:
                left -= 1
            self._left[caller] = (left, now)
            if len(self._left) > _CALLERS:
                del self._left[next(iter(self._left))]
        full_in = int((self._most - left) / self._rate) + 1
        headers = {
            "RateLimit-Policy": self._policy,
            "RateLimit": f'"{self.name}";r={int(left)};t={full_in}',
        }
        if not taken:
            problem = TooManyRequests()
            problem.headers |= headers | {"Retry-After": str(int((1 - left) / self._rate) + 1)}
            raise problem
        return headers
