"""What was used last, kept within bounds."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The values used last, bounded by a number and by the sum of their weights. For one event loop only."""

    def __init__(self, most: int, weight: Callable[[T], int] = lambda _: 1) -> None:
        self._most, self._weight = most, weight
        self._sum = 0
        self._values: OrderedDict[object, T] = OrderedDict()

    def get(self, name: object) -> T | None:
        found = self._values.get(name)
        if found is not None:
            self._values.move_to_end(name)
        return found

    def keep(self, name: object, value: T) -> None:
        weight = self._weight(value)
        if name in self._values or weight > max(1, self._most // 8):
            return
        self._values[name] = value
        self._sum += weight
        while self._sum > self._most:
            self._sum -= self._weight(self._values.popitem(last=False)[1])
