"""计价 `rate(usage, tariff)` turns quantities into priced lines; pure, exact, one rounding per line.

The order of events, batches and splits cannot matter, because only their sums are rated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from metering.words import Kind
from storage.kernel.canonical import digest
from storage.kernel.money import half_even, split
from storage.kernel.problem import invalid
from storage.kernel.words import Worded

MOST = 2**53 - 1


class Measure(Worded):
    """计量项. What a price is for."""

    CALL = "call", "调用次数", "Calls"
    ROW = "row", "数据行数", "Rows"
    DOWNLOAD = "download", "下载次数", "Downloads"


class LineKind(Worded):
    """计费项. What a line of a bill is for."""

    CALL = "call", "调用费", "Calls"
    ROW = "row", "数据费", "Rows"
    DOWNLOAD = "download", "下载费", "Downloads"
    SUBSCRIPTION = "subscription", "订阅费", "Subscription"
    MINIMUM = "minimum", "最低消费补足", "Minimum commitment"


class Ladder(Worded):
    """阶梯方式. Each unit at the price of its own step, or all units at the price of the step reached."""

    GRADUATED = "graduated", "分段累进", "Graduated"
    VOLUME = "volume", "全量", "Volume"


@dataclass(frozen=True, slots=True)
class Step:
    """阶梯. Units up to and including `upto` (None: without end) cost this fraction of a fen each."""

    upto: int | None
    numerator_fen: int
    denominator: int = 1

    @property
    def price(self) -> Fraction:
        """Fen per unit, exactly."""
        return Fraction(self.numerator_fen, self.denominator)


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """单价. What one measure costs: free units first, then by its steps.

    Under VOLUME one unit more may reach a cheaper step for all of them; the price then stands still until the
    cheaper one has caught up, so that no unit ever costs less than nothing.
    """

    measure: Measure
    steps: tuple[Step, ...]
    free: int = 0
    ladder: Ladder = Ladder.GRADUATED

    def __post_init__(self) -> None:
        bounds = [step.upto for step in self.steps]
        finite = [bound for bound in bounds if bound is not None]
        in_order = finite == sorted(set(finite)) and all(bound > 0 for bound in finite)
        ends_open = bool(bounds) and bounds[-1] is None and None not in bounds[:-1]
        exact = all(step.numerator_fen >= 0 and step.denominator > 0 for step in self.steps)
        if not (in_order and ends_open and exact and 0 <= self.free <= MOST):
            raise invalid(
                "tariff",
                "tariff.steps",
                "阶梯须递增，最后一档不设上限，价格不得为负。",
                "Steps increase, the last one is open, and no price is negative.",
            )

    def cost(self, quantity: int) -> Fraction:
        """The exact price of so many units, not rounded."""
        left, below, total = max(0, quantity - self.free), 0, Fraction(0)
        if self.ladder is Ladder.VOLUME:
            return self._volume(left)
        for step in self.steps:
            within = left if step.upto is None else min(left, step.upto - below)
            total += within * step.price
            left -= within
            below = step.upto or below
            if not left:
                break
        return total

    def _volume(self, quantity: int) -> Fraction:
        dearest = Fraction(0)
        for step in self.steps:
            reached = quantity if step.upto is None else min(quantity, step.upto)
            dearest = max(dearest, reached * step.price)
            if reached == quantity:
                break
        return dearest


@dataclass(frozen=True, slots=True)
class Tariff:
    """价目. Immutable; its id is the hash of its content. `fee_fen` is per month, `minimum_fen` per period."""

    prices: tuple[UnitPrice, ...] = ()
    fee_fen: int = 0
    minimum_fen: int = 0

    def __post_init__(self) -> None:
        measures = [price.measure for price in self.prices]
        if len(set(measures)) != len(measures) or min(self.fee_fen, self.minimum_fen) < 0:
            raise invalid(
                "tariff",
                "tariff.prices",
                "每个计量项只能有一个价格，且不得为负。",
                "One price per measure, none negative.",
            )

    @classmethod
    def flat(
        cls, *, call_fen: int = 0, row_fen: int = 0, download_fen: int = 0, fee_fen: int = 0
    ) -> "Tariff":
        """The prices of a plan."""
        pairs = ((Measure.CALL, call_fen), (Measure.ROW, row_fen), (Measure.DOWNLOAD, download_fen))
        return cls(
            tuple(UnitPrice(measure, (Step(None, fen),)) for measure, fen in pairs if fen), fee_fen=fee_fen
        )

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Tariff":
        """The tariff a document describes. Raises Invalid, KeyError, ValueError."""
        prices = [
            UnitPrice(
                Measure(price["measure"]),
                tuple(Step(step["upto"], *step["fen"]) for step in price["steps"]),
                price["free"],
                Ladder(price["ladder"]),
            )
            for price in document["prices"]
        ]
        return cls(tuple(prices), document["fee_fen"], document["minimum_fen"])

    def metered_fen(self, usage: "Quantities") -> int:
        """What use alone has cost so far: each measure rounded once, no fee, no minimum."""
        return sum(half_even(price.cost(usage.of(price.measure))) for price in self.prices)

    def document(self) -> dict[str, Any]:
        """The JSON form that the id is taken over."""
        return {
            "prices": [
                {
                    "measure": str(price.measure),
                    "free": price.free,
                    "ladder": str(price.ladder),
                    "steps": [
                        {"upto": step.upto, "fen": [step.numerator_fen, step.denominator]}
                        for step in price.steps
                    ],
                }
                for price in self.prices
            ],
            "fee_fen": self.fee_fen,
            "minimum_fen": self.minimum_fen,
        }

    @property
    def id(self) -> str:
        """`tar_` and the hash of the canonical JSON."""
        return f"tar_{digest(self.document())[:32]}"


@dataclass(frozen=True, slots=True)
class Quantities:
    """计量. What is rated: sums over a period; `months` may be a part of a month (proration)."""

    calls: int = 0
    rows: int = 0
    downloads: int = 0
    months: Fraction = Fraction(0)

    def of(self, measure: Measure) -> int:
        """The quantity of one measure."""
        return {Measure.CALL: self.calls, Measure.ROW: self.rows, Measure.DOWNLOAD: self.downloads}[measure]

    def __add__(self, other: "Quantities") -> "Quantities":
        return Quantities(
            self.calls + other.calls,
            self.rows + other.rows,
            self.downloads + other.downloads,
            self.months + other.months,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """用量. A sum of events: answers, calls, rows, bytes and their price in fen."""

    events: int = 0
    calls: int = 0
    rows: int = 0
    size: int = 0
    amount_fen: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.events + other.events,
            self.calls + other.calls,
            self.rows + other.rows,
            self.size + other.size,
            self.amount_fen + other.amount_fen,
        )


def quantities(used: Mapping[Kind, Usage], tariff: Tariff, *, months: Fraction = Fraction(0)) -> Quantities:
    """What of this usage is priced by `tariff`, exactly as the till priced each event.

    A download with a price of its own costs that and nothing else; without one its call and rows count.
    """
    downloads = used.get(Kind.DOWNLOAD, Usage())
    counted = sum((usage for kind, usage in used.items() if kind is not Kind.DOWNLOAD), Usage())
    if any(price.measure is Measure.DOWNLOAD for price in tariff.prices):
        return Quantities(counted.calls, counted.rows, downloads.events, months)
    return Quantities(counted.calls + downloads.calls, counted.rows + downloads.rows, 0, months)


@dataclass(frozen=True, slots=True)
class Line:
    """计费行. One line of a bill: quantity and its price in fen, rounded once (half to even)."""

    kind: LineKind
    quantity: int
    amount_fen: int


def rate(usage: Quantities, tariff: Tariff) -> list[Line]:
    """计价. The lines of a bill, in a fixed order, without lines of quantity zero.

    Raises ValueError for a negative quantity.
    """
    if min(usage.calls, usage.rows, usage.downloads) < 0 or usage.months < 0:
        raise ValueError("quantities count up from zero")
    lines = []
    for price in sorted(tariff.prices, key=lambda price: list(Measure).index(price.measure)):
        quantity = usage.of(price.measure)
        if quantity:
            lines.append(Line(LineKind(price.measure.value), quantity, half_even(price.cost(quantity))))
    if tariff.fee_fen and usage.months:
        lines.append(Line(LineKind.SUBSCRIPTION, 1, half_even(tariff.fee_fen * usage.months)))
    short = tariff.minimum_fen - sum(line.amount_fen for line in lines)
    if short > 0:
        lines.append(Line(LineKind.MINIMUM, 1, short))
    return lines


def total_fen(lines: Sequence[Line]) -> int:
    """The sum of the lines."""
    return sum(line.amount_fen for line in lines)


def delta_fen(before: Quantities, added: Quantities, tariff: Tariff) -> int:
    """What `added` costs on top of `before`: `rate(before + added) - rate(before)`, never negative."""
    return total_fen(rate(before + added, tariff)) - total_fen(rate(before, tariff))


def share_revenue(amount_fen: int, shares: Mapping[str, int]) -> dict[str, int]:
    """分成. Split an amount by weights without losing a fen (largest remainder)."""
    parts = split(amount_fen, list(shares.values()))
    return dict(zip(shares, parts, strict=True))
