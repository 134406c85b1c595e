"""在途调用 The calls of each license that are with a provider and not charged yet, in this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from metering.problems import UpstreamResting


class Limited(Protocol):
    """What says how many more calls a license can pay for; None when nothing limits them."""

    @property
    def left(self) -> int | None: ...


L = TypeVar("L", bound=Limited)


@dataclass(slots=True)
class _Line:
    users: int = 0
    going: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class UnderWay:
    """One per gateway. No license has more than `share` calls under way here, nor more than it can pay for."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def one(
        self, license_id: str, first: L, again: Callable[[], Awaitable[L]], seconds: float
    ) -> AsyncIterator[L]:
        """Make a call inside. Near the edge it waits for those under way, and is judged `again` on what they left.

        Raises UpstreamResting when the license has its share, or has waited for `seconds`; and what `again` raises.
        """
        line = self._lines.setdefault(license_id, _Line())
        line.users += 1
        try:
            if line.users - line.going > self._share:  # they wait already
                raise UpstreamResting(retry_after=1, reason="busy")
            judged = first
            if first.left is not None and first.left <= self._share:
                try:
                    async with asyncio.timeout(seconds), line.turn:
                        judged = await self._near_the_edge(line, again)
                        line.going += 1
                except TimeoutError:
                    raise UpstreamResting(retry_after=1, reason="busy") from None
            else:
                self._refuse_more(line)
                line.going += 1
            try:
                yield judged
            finally:
                line.going -= 1
                line.ended.set()
        finally:
            line.users -= 1
            if not line.users:
                del self._lines[license_id]

    async def _near_the_edge(self, line: _Line, again: Callable[[], Awaitable[L]]) -> L:
        while True:
            self._refuse_more(line)
            line.ended.clear()
            going = (
                line.going
            )  # before the look: who ends meanwhile has been charged by then, or counts twice
            judged = await again()
            if judged.left is None or going < judged.left:
                return judged
            await line.ended.wait()

    def _refuse_more(self, line: _Line) -> None:
        if line.going >= self._share:
            raise UpstreamResting(retry_after=1, reason="share")
