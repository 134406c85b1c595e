"""限额 What a license may use and how much of it is used; pure, from its gate."""

from dataclasses import dataclass

from metering.tables import Gate
from metering.words import LimitUnit

STEPS = (50, 80, 100)  # percent


@dataclass(frozen=True, slots=True)
class Limit:
    """限额. One limit: what it counts, how much is used, and the most there may be (None is unlimited)."""

    unit: LimitUnit
    used: int
    most: int | None

    @property
    def left(self) -> int | None:
        """What may still be used; None when there is no limit."""
        return None if self.most is None else self.most - self.used

    @property
    def percent(self) -> int:
        """How much is used, in whole percent, never rounded up; 0 without a limit."""
        return self.used * 100 // self.most if self.most else 0

    @property
    def step(self) -> int:
        """The highest of 50, 80 and 100 % that is reached, else 0."""
        return max((step for step in STEPS if self.percent >= step), default=0)


def limits_of(gate: Gate) -> list[Limit]:
    """许可限额. Every limit of a license, with its spend cap (fen)."""
    return [
        Limit(LimitUnit.CALLS, gate.used_calls, gate.limit_calls),
        Limit(LimitUnit.ROWS, gate.used_rows, gate.limit_rows),
        Limit(LimitUnit.BYTES, gate.used_bytes, gate.limit_bytes),
        Limit(LimitUnit.DOWNLOADS, gate.used_downloads, gate.limit_downloads),
        Limit(LimitUnit.SPEND, gate.spent_fen, gate.spend_cap_fen),
    ]
