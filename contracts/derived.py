"""由条款导出的要素 The blanks that only the terms may fill, so that text and gateway say the same."""

from typing import Any

from contracts.terms import Price, Quota, RightKind, Terms
from storage.kernel.words import Words

_RATES = {
    "call_fen": (Words("接口调用", "API call"), Words("次", "per call")),
    "row_fen": (Words("数据记录", "Data record"), Words("条", "per record")),
    "download_fen": (Words("文件下载", "File download"), Words("次", "per download")),
    "fee_fen": (Words("订阅费", "Subscription fee"), Words("月", "per month")),
}
_LIMITS = {
    "calls": (Words("接口调用", "API calls"), Words("次", "calls")),
    "rows": (Words("数据记录", "Data records"), Words("条", "records")),
    "bytes": (Words("传输量", "Data transferred"), Words("字节", "bytes")),
    "downloads": (Words("文件下载", "File downloads"), Words("次", "downloads")),
}


def slots_of(terms: Terms) -> dict[str, Any]:
    """Every `terms` slot a template can declare, as JSON values."""
    document = terms.document()
    return {
        "seller": document["seller"],
        "buyer": document["buyer"],
        "product_title": terms.product.title.both(),
        "product_code": terms.product.slug,
        "version": terms.version,
        "version_rule": document["version_rule"],
        "tier": document["tier"],
        "purposes": document["purposes"],
        "scenario": terms.scenario,
        "territory": document["territory"],
        "delivery": document["delivery"],
        "rights": document["rights"],
        "may_operate": RightKind.OPERATE in terms.rights,
        "limits": _limit_rows(terms.quota),
        "rates": _rate_rows(terms.price),
        "paid": not terms.price.free or terms.prepay_fen > 0,
        "metered": terms.price.metered,
        "subscribed": terms.price.fee_fen > 0,
        "per_hit": terms.price.per_hit,
        "prepaid": terms.prepay_fen > 0,
        "prepay": terms.prepay_fen,
        "tax_rate": _percent(terms.price.tax_rate_bp),
        "in_days": terms.term.last_day is not None,
        "first_day": document["term"]["first_day"],
        "last_day": document["term"]["last_day"],
        "in_months": terms.term.months is not None,
        "months": terms.term.months,
        "endless": terms.term.endless,
    }


def _rate_rows(price: Price) -> list[dict[str, Any]]:
    return [
        {"item": item.both(), "unit": unit.both(), "price": getattr(price, name)}
        for name, (item, unit) in _RATES.items()
        if getattr(price, name)
    ]


def _limit_rows(quota: Quota) -> list[dict[str, Any]]:
    return [
        {"item": item.both(), "unit": unit.both(), "limit": getattr(quota, name)}
        for name, (item, unit) in _LIMITS.items()
    ]


def _percent(basis_points: int) -> str:
    whole, part = divmod(basis_points, 100)
    return f"{whole}.{part:02d}".rstrip("0").rstrip(".") + "%" if part else f"{whole}%"
