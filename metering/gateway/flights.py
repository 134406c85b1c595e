"""Who asks for the same at the same time waits for the first."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Flights(Generic[T]):
    """Work under way, by name. For one event loop only."""

    def __init__(self) -> None:
        self._flying: dict[Hashable, asyncio.Task[T]] = {}

    async def join(self, name: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of the work of that name, begun now if it is not under way. Raises what it raises."""
        task = self._flying.get(name) or self._begun(name, begin)
        return await asyncio.shield(task)  # whoever leaves does not take it from the others

    def begin(self, name: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Begin it, if it is not under way, for those who come later; what goes wrong is logged."""
        if name not in self._flying:
            self._begun(name, begin).add_done_callback(_note)

    def _begun(self, name: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        task = self._flying[name] = asyncio.get_running_loop().create_task(begin())
        task.add_done_callback(lambda _: self._flying.pop(name))
        return task


def _note(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("flight.failed", error=str(task.exception()))
