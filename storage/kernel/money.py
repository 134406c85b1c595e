"""人民币 Money is a whole number of fen; these are the only conversions and splits of it."""

import re
from collections.abc import Sequence
from fractions import Fraction

from storage.kernel.problem import invalid

_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("", "拾", "佰", "仟")
_GROUPS = ("", "万", "亿", "万亿")
MAX_FEN = 10**15  # ten trillion yuan: far above any deal, far below 64 bits


def yuan(fen: int) -> str:
    """Fen as yuan with two decimals and thousands separators.

    >>> yuan(1234567), yuan(-5)
    ('12,345.67', '-0.05')
    """
    sign, fen = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{fen // 100:,}.{fen % 100:02d}"


def parse_yuan(text: str, field: str) -> int:
    """Yuan as people write it (`¥1,234.50`) to fen.

    Raises Invalid for a negative amount, more than two decimals, or anything that is not a number.
    """
    cleaned = text.strip().removeprefix("¥").removeprefix("￥").replace(",", "")
    match = re.fullmatch(r"(-?)(\d{1,13})(?:\.(\d+))?", cleaned)
    if not match:
        raise invalid(field, "money", "请填写金额，例如 1234.50。", "Write an amount such as 1234.50.")
    minus, whole, part = match.groups()
    part = part or ""
    if minus:
        raise invalid(field, "money.negative", "金额不能为负数。", "An amount cannot be negative.")
    if len(part) > 2:
        raise invalid(
            field, "money.fraction", "金额最多两位小数（精确到分）。", "At most two decimals (whole fen)."
        )
    return int(whole) * 100 + int(part.ljust(2, "0"))


def capital(fen: int) -> str:
    """金额大写. The amount in capital characters, which prevails over digits in a contract.

    >>> capital(1280000), capital(100205), capital(7)
    ('壹万贰仟捌佰元整', '壹仟零贰元零伍分', '柒分')
    """
    if fen < 0 or fen > MAX_FEN:
        raise ValueError("amount out of range")
    whole, rest = divmod(fen, 100)
    jiao, cents = divmod(rest, 10)
    head = f"{_capital_integer(whole)}元" if whole else ""
    if not rest:
        return f"{head or '零元'}整"
    tail = f"{_DIGITS[jiao]}角" if jiao else ("零" if whole else "")
    return head + tail + (f"{_DIGITS[cents]}分" if cents else "整")


def _capital_integer(number: int) -> str:
    groups = []
    while number:
        number, group = divmod(number, 10_000)
        groups.append(group)
    out = ""
    for index in range(len(groups) - 1, -1, -1):
        group = groups[index]
        if not group:
            continue
        gap = bool(out) and (group < 1000 or (index + 1 < len(groups) and not groups[index + 1]))
        out += ("零" if gap else "") + _capital_group(group) + _GROUPS[index]
    return out


def _capital_group(group: int) -> str:
    out, pending = "", False
    for place in (3, 2, 1, 0):
        digit = group // 10**place % 10
        if digit:
            out += ("零" if pending and out else "") + _DIGITS[digit] + _PLACES[place]
            pending = False
        else:
            pending = True
    return out


def half_even(amount: Fraction) -> int:
    """The nearest whole fen; a tie goes to the even one. The one rounding of a line."""
    return round(amount)


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Share `total` fen by `weights` so that the parts sum to it exactly (largest remainder).

    Raises ValueError for no weights, a negative weight, or weights that sum to zero.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError("weights must be non-negative and not all zero")
    parts = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


def net_and_tax(gross: int, rate_bp: int) -> tuple[int, int]:
    """价税分离. Net and tax (fen) inside a gross price; `rate_bp` in basis points (600 = 6 %).

    >>> net_and_tax(10600, 600)
    (10000, 600)
    """
    net = half_even(Fraction(gross * 10_000, 10_000 + rate_bp))
    return net, gross - net
