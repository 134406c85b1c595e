"""The prices of a plan as a page shows them: an amount and what it is for."""

from market.catalogue.tables import Plan
from storage.kernel.words import Words

_FOR = {
    "call_fen": Words("每次调用", "per call"),
    "row_fen": Words("每条数据", "per row"),
    "download_fen": Words("每次下载", "per download"),
    "fee_fen": Words("每月", "per month"),
}
_INCLUDED = {
    "included_calls": Words("许可期内最多调用 {n} 次", "at most {n} calls over the term"),
    "included_rows": Words("许可期内最多 {n} 条", "at most {n} rows over the term"),
    "included_downloads": Words("许可期内最多下载 {n} 次", "at most {n} downloads over the term"),
}


def priced(plan: Plan) -> list[tuple[int, Words]]:
    """The prices that are not zero: fen with tax, and what each is for."""
    return [(getattr(plan, name), words) for name, words in _FOR.items() if getattr(plan, name)]


def limited(plan: Plan) -> list[Words]:
    """The limits of a plan in words; empty when there is none."""
    return [
        Words(words.zh.format(n=f"{limit:,}"), words.en.format(n=f"{limit:,}"))
        for name, words in _INCLUDED.items()
        if (limit := getattr(plan, name)) is not None
    ]
