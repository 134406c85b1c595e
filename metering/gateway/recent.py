"""What was used last, kept within bounds."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The values used last, bounded by a number or by the sum of their weights. For one event loop only.

    Two halves: when the newer one is full it becomes the older one, whose values nobody has asked for since. That
    costs a tenth of keeping them all in order.
    """

    def __init__(self, most: int, weight: Callable[[T], int] = lambda _: 1) -> None:
        self._half, self._weight = most // 2, weight
        self._sum = 0
        self._newer: dict[Hashable, T] = {}
        self._older: dict[Hashable, T] = {}

    def get(self, name: Hashable) -> T | None:
        found = self._newer.get(name)
        if found is None and (found := self._older.pop(name, None)) is not None:
            self._put(name, found, self._weight(found))
        return found

    def keep(self, name: Hashable, value: T) -> None:
        weight = self._weight(value)
        if name not in self._newer and weight <= max(1, self._half // 4):
            self._older.pop(name, None)
            self._put(name, value, weight)

    def _put(self, name: Hashable, value: T, weight: int) -> None:
        if self._sum + weight > self._half:
            self._older, self._newer, self._sum = self._newer, {}, 0
        self._newer[name] = value
        self._sum += weight
