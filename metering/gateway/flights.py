"""Who asks for the same at the same time waits for the first."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Work under way, by name. For one event loop only."""

    def __init__(self) -> None:
        self._flying: dict[Hashable, asyncio.Task[T]] = {}

    async def join(self, name: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of the work of that name, begun now if it is not under way. Raises what it raises."""
        task = self._flying.get(name)
        if task is None:
            task = self._flying[name] = asyncio.create_task(begin())
            task.add_done_callback(lambda _: self._flying.pop(name))
        return await asyncio.shield(task)  # whoever leaves does not take it from the others
