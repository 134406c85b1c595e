"""A clock that a test puts forward for a whole process: libfaketime reads from a file how far ahead it runs."""

import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

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

    def forward(self, moment: datetime) -> None:
        """Jump to `moment` (aware), and wait until every process has seen it. Raises ValueError for one in the past."""
        if moment <= self.now():
            raise ValueError("a clock is put forward only")
        self._ahead += moment - self.now()
        self._write()
        time.sleep(_READ_AGAIN + 0.2)

    def _write(self) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(f"+{self._ahead.total_seconds():.0f}\n")
        part.replace(self._file)
