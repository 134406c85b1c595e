"""上限收费与最高准许收入 Price ceilings and revenue caps as exact arithmetic in whole fen; pure."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from storage.kernel.money import MAX_FEN
from storage.kernel.problem import Fault, invalid
from storage.kernel.words import Worded, Words

WARN_PERCENT = 80  # of the cap: the operator and the mandator are told
MAX_YUAN_DECIMALS = 8
SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"

Line = Annotated[str, Field(max_length=200)]


class ChargeUnit(Worded):
    """计费单位 (发改价格〔2025〕65 号). What a ceiling limits the price of."""

    CALL = "call", "每次服务", "Per call"
    ROW = "row", "每条数据", "Per row"
    DOWNLOAD = "download", "每份产品", "Per download"
    MONTH = "month", "每月服务", "Per month"


# The price of a plan that a ceiling limits.
PRICE_OF = {
    ChargeUnit.CALL: "call_fen",
    ChargeUnit.ROW: "row_fen",
    ChargeUnit.DOWNLOAD: "download_fen",
    ChargeUnit.MONTH: "fee_fen",
}


class CapStep(Worded):
    """收入进度. How near an operator is to its permitted revenue."""

    BELOW = "below", "正常", "Below the warning line"
    WARNED = "warned", "已达预警线", "Warning line reached"
    STOPPED = "stopped", "已达上限，停止新的付费订单", "Cap reached: no new paid orders"


class CeilingForm(BaseModel):
    """上限收费标准. max_yuan: yuan with tax, exactly, to eight decimals ("0.003" is three tenths of a fen)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    product: Annotated[str, Field(max_length=60)]  # the product's slug, also before it is drafted
    unit: ChargeUnit
    max_yuan: Annotated[str, Field(max_length=40)]
    decided_by: Line = ""  # 定价机关
    document_no: Line = ""  # 文号
    first_day: date | None = None
    last_day: date | None = None
    trial: bool = False  # 试行收费标准
    document_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class CapForm(BaseModel):
    """最高准许收入. For one operator and one span of civil days, both included; fen with tax."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operator_id: Annotated[str, Field(max_length=40)]
    first_day: date
    last_day: date
    cap_fen: Annotated[int, Field(strict=True, ge=0, le=MAX_FEN)]
    decided_by: Line = ""
    document_no: Line = ""


def exact_fen(text: str, field: str = "max_yuan") -> Fraction:
    """Yuan as people write it, as an exact number of fen, above zero. Raises Invalid.

    >>> exact_fen("0.003"), exact_fen("1,200")
    (Fraction(3, 10), Fraction(120000, 1))
    """
    cleaned = text.strip().removeprefix("¥").removeprefix("￥").replace(",", "")
    match = re.fullmatch(rf"(\d{{1,11}})(?:\.(\d{{1,{MAX_YUAN_DECIMALS}}}))?", cleaned, re.ASCII)
    found = Fraction(cleaned) * 100 if match else Fraction(0)
    if not 0 < found <= MAX_FEN:
        raise invalid(
            field,
            "ceiling.price",
            f"请填写大于零的金额（元），最多 {MAX_YUAN_DECIMALS} 位小数，例如 0.08。",
            f"Write an amount above zero in yuan, to {MAX_YUAN_DECIMALS} decimals, such as 0.08.",
        )
    return found


def yuan_of(fen: Fraction) -> str:
    """An exact number of fen as yuan, with every decimal it has and two at least.

    >>> yuan_of(Fraction(3, 10)), yuan_of(Fraction(120000)), yuan_of(Fraction(8))
    ('0.003', '1,200.00', '0.08')
    """
    units = fen * 10 ** (MAX_YUAN_DECIMALS - 2)
    whole, rest = divmod(units.numerator // units.denominator, 10**MAX_YUAN_DECIMALS)
    decimals = f"{rest:0{MAX_YUAN_DECIMALS}d}".rstrip("0").ljust(2, "0")
    return f"{whole:,}.{decimals}"


def ceiling_faults(form: CeilingForm) -> Iterator[Fault]:
    """What is missing of a decision on a ceiling."""
    if not re.fullmatch(SLUG, form.product):
        yield Fault("product", "slug.form", Words("请填写产品标识。", "Name the product by its slug."))
    for name, words in {
        "decided_by": Words("定价机关", "who decided"),
        "document_no": Words("文号", "the document's number"),
    }.items():
        if not getattr(form, name).strip():
            yield Fault(name, "required", Words(f"请填写{words.zh}。", f"Fill in: {words.en}."))
    yield from _span_faults(form.first_day, form.last_day)
    if form.trial and not form.document_sha256:
        words = Words("试行收费标准须附正式文件。", "A trial ceiling comes with its document (its SHA-256).")
        yield Fault("document_sha256", "ceiling.trial", words)


def cap_faults(form: CapForm) -> Iterator[Fault]:
    """What is wrong with a decision on a cap."""
    for name, words in {
        "decided_by": Words("核定机关", "who decided"),
        "document_no": Words("文号", "the document's number"),
    }.items():
        if not getattr(form, name).strip():
            yield Fault(name, "required", Words(f"请填写{words.zh}。", f"Fill in: {words.en}."))
    yield from _span_faults(form.first_day, form.last_day)
    if form.first_day.day != 1:
        words = Words("周期从某月 1 日开始，账单按月计。", "A period begins with a month, as invoices do.")
        yield Fault("first_day", "cap.months", words)
    if (form.last_day + timedelta(days=1)).day != 1:
        words = Words("周期到某月最后一日结束。", "A period ends with the last day of a month.")
        yield Fault("last_day", "cap.months", words)


def _span_faults(first: date | None, last: date | None) -> Iterator[Fault]:
    for name, day in (("first_day", first), ("last_day", last)):
        if day is None:
            yield Fault(name, "required", Words("请填写起止日期。", "Fill in the first and the last day."))
    if first and last and last < first:
        yield Fault("last_day", "term.reversed", Words("截止日期早于起始日期。", "It ends before it begins."))


@dataclass(frozen=True, slots=True)
class Limit:
    """有效上限. One ceiling in force: exact fen, and the decision it comes from."""

    id: str
    unit: ChargeUnit
    max_fen: Fraction
    document_no: str
    trial: bool


def price_faults(prices: Mapping[str, int], limits: Collection[Limit], field: str = "plans") -> list[Fault]:
    """价格与上限. Every price without a ceiling in force (T16), and every price above its ceiling (T15).

    prices: the four prices of a plan by name, in fen.
    """
    by_unit = {limit.unit: limit for limit in limits}
    faults = []
    for unit, name in PRICE_OF.items():
        asked = prices.get(name, 0)
        limit = by_unit.get(unit)
        if not asked:
            continue
        if limit is None:
            words = Words(
                f"公共数据产品“{unit.words.zh}”尚无有效的上限收费标准，待定价后方可收费（发改价格〔2025〕65 号）。",
                f"No ceiling in force for “{unit.words.en}”: public data waits for one before it is charged "
                "(NDRC price notice 2025/65).",
            )
            faults.append(Fault(field, "T16.await_ceiling", words))
        elif asked > limit.max_fen:
            words = Words(
                f"“{unit.words.zh}”的价格 ¥{yuan_of(Fraction(asked))} 高于上限 ¥{yuan_of(limit.max_fen)}"
                f"（{limit.document_no}）。",
                f"“{unit.words.en}” at ¥{yuan_of(Fraction(asked))} is above the ceiling of "
                f"¥{yuan_of(limit.max_fen)} ({limit.document_no}).",
            )
            faults.append(Fault(field, "T15.ceiling", words))
    return faults


@dataclass(frozen=True, slots=True)
class Span:
    """一个周期的收入. cap and collected in fen; collected may fall below zero when all of it is credited."""

    cap_fen: int
    collected_fen: int


def carried(spans: Sequence[Span]) -> list[int]:
    """结转. What each period takes over from the one before: everything collected beyond what was permitted.

    >>> carried([Span(100, 130), Span(100, 20), Span(50, 60)])
    [0, 30, 0]
    """
    taken, over = [], 0
    for span in spans:
        taken.append(over)
        over = max(0, over + span.collected_fen - span.cap_fen)
    return taken


def left_fen(cap_fen: int, carried_fen: int, collected_fen: int) -> int:
    """尚可收入. What may still be collected in a period (fen); below zero it is over-collected."""
    return cap_fen - carried_fen - collected_fen


def step_of(cap_fen: int, carried_fen: int, collected_fen: int) -> CapStep:
    """进度. Stopped at the whole of what is permitted, warned at 80 % of it; exact, without fractions.

    >>> str(step_of(1000, 0, 799)), str(step_of(1000, 0, 800)), str(step_of(1000, 200, 800))
    ('below', 'warned', 'stopped')
    """
    permitted = cap_fen - carried_fen
    if collected_fen >= permitted:
        return CapStep.STOPPED
    if collected_fen * 100 >= permitted * WARN_PERCENT:
        return CapStep.WARNED
    return CapStep.BELOW
