"""One comparison: what ours and the reference reached in alternating turns, and their ratio against the goal."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table. `ours` and `reference` hold one reading a turn, both in `unit`."""

    what: str
    reference_is: str
    unit: str
    ours: Sequence[float]
    reference: Sequence[float]
    goal: float
    less_is_better: bool = False
    floor: float = 0  # what ours must reach in itself
    note: str = ""

    @property
    def ratio(self) -> float:
        """Median of ours over the median of the reference."""
        return statistics.median(self.ours) / statistics.median(self.reference)

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        if self.less_is_better:
            return self.ratio <= self.goal
        return self.ratio >= self.goal and statistics.median(self.ours) >= self.floor

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        sign = "≤" if self.less_is_better else "≥"
        floor = f", {sign} {self.floor:,.0f} {self.unit}" if self.floor else ""
        return (
            self.what,
            f"{_spread(self.ours)} {self.unit}",
            f"{self.reference_is}: {_spread(self.reference)} {self.unit}",
            f"{self.ratio:.2f}×",
            f"{sign} {self.goal:g}×{floor}",
            "met" if self.met else "not met",
            self.note,
        )


def _spread(readings: Sequence[float]) -> str:
    """Median, and how far the turns lay apart."""
    middle = statistics.median(readings)
    digits = 0 if middle >= 100 else 2
    return f"{middle:,.{digits}f} ({min(readings):,.{digits}f}–{max(readings):,.{digits}f})"


def in_turns(turns: int, *sides: Callable[[], float]) -> list[list[float]]:
    """Measure each side, one after the other, so that a slow minute of the machine meets all alike; their readings."""
    readings: list[list[float]] = [[] for _ in sides]
    for _ in range(turns):
        for side, kept in zip(sides, readings, strict=True):
            kept.append(side())
    return readings


HEADINGS = ("What", "Ours: median (spread)", "Reference", "Ratio", "Goal", "", "Notes")


def markdown(figures: Sequence[Figure]) -> str:
    """The table of the README."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
