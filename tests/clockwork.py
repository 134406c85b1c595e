"""A clock that a test puts forward for a whole process: libfaketime reads from a file how far ahead it runs."""

import math
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2

from storage.kernel import clock
from tests import servers

_READ_AGAIN = 1  # seconds after which a process looks at the file again


class Clock:
    """The wall clock of the processes started with `environment`; it runs on, and only ever jumps ahead."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "clock.ahead"
        self._ahead = timedelta(0)
        self._write()
        self.environment = {
            "LD_PRELOAD": servers.find_faketime(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file.resolve()),
            "FAKETIME_CACHE_DURATION": str(_READ_AGAIN),
            "NO_FAKE_STAT": "1",  # files keep the times the file system gave them
        }

    def now(self) -> datetime:
        """The moment it shows."""
        return datetime.now(UTC) + self._ahead

    def held(self) -> AbstractContextManager[None]:
        """The same moment for this process: for what a test does in the market's own database."""
        return clock.held(self.now())

    def forward(self, moment: datetime, url: str) -> None:
        """Jump to `moment` (aware), and wait until the server at `url` dates its answers so.

        Raises ValueError for a moment in the past, RuntimeError when the server does not follow.
        """
        if moment <= self.now():
            raise ValueError("a clock is put forward only")
        self._ahead += moment - self.now()
        self._write()
        for _ in range(200):
            shown = httpx2.get(f"{url}/healthz", trust_env=False).headers["Date"]
            if parsedate_to_datetime(shown) >= moment.replace(microsecond=0):
                return
            time.sleep(0.1)
        raise RuntimeError(f"the server shows {shown}, not {moment}")

    def _write(self) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(f"+{math.ceil(self._ahead.total_seconds())}\n")
        part.replace(self._file)
