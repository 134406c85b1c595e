from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.policy import compile_policy
from contracts.templates import content_hash
from contracts.terms import Terms
from storage.kernel.problem import Invalid
from tests.contracts.samples import commercial, content, everything_printed, open_terms

START = datetime(2026, 3, 2, 4, tzinfo=UTC)


def test_the_gateway_enforces_exactly_the_terms() -> None:
    policy = compile_policy(commercial(), starts_at=START)
    assert (policy.limit_calls, policy.limit_rows, policy.limit_bytes) == (100_000, 2_000_000, None)
    assert policy.spend_cap_fen == 1_280_000
    assert policy.serve_from == START
    assert policy.serve_until == datetime(2027, 3, 2, 16, tzinfo=UTC)
    assert policy.price.call_fen == 8


@pytest.mark.parametrize(
    ("changes", "printed"),
    [
        ({"quota": {"calls": 99_999, "rows": 2_000_000}}, "99,999"),
        ({"price": {"call_fen": 9}}, "人民币 0.09 元（大写：玖分）"),
        ({"prepay_fen": 1_290_000}, "大写：壹万贰仟玖佰元整"),
        ({"term": {"months": 11}}, "许可期为 11 个月"),
        ({"term": {"first_day": "2026-01-01", "last_day": "2026-12-31"}}, "至2026年12月31日二十四时止"),
        ({"purposes": ["internal_business"]}, "处理目的：内部经营；"),
        ({"delivery": ["api"]}, "交付方式：接口调用。"),
        ({"version_rule": "pinned"}, "3 版本。乙方其后发布的版本不在本合同范围之内"),
        ({"version": "4"}, "现行版本为 4。"),
        ({"price": {"call_fen": 8, "per_hit": True}}, "查询未返回任何数据的，不收取"),
    ],
)
def test_one_changed_term_changes_text_hash_and_gateway_together(
    changes: dict[str, Any], printed: str
) -> None:
    before, after = content(), content(commercial(**changes))
    assert printed not in everything_printed(before["text"]["zh"])
    assert printed in everything_printed(after["text"]["zh"])
    assert everything_printed(before["text"]["en"]) != everything_printed(after["text"]["en"])
    assert content_hash(before) != content_hash(after)
    # The gateway's policy comes from the very terms inside the content that was hashed.
    old, new = (compile_policy(Terms(**c["terms"]), starts_at=START) for c in (before, after))
    assert old != new


def test_the_earliest_known_end_wins() -> None:
    mandate, permit = START + timedelta(days=30), START + timedelta(days=60)
    assert compile_policy(commercial(), starts_at=START, ends=[permit, mandate]).serve_until == mandate
    assert compile_policy(open_terms(), starts_at=START, ends=[permit]).serve_until == permit
    assert compile_policy(open_terms(), starts_at=START).serve_until is None


def test_a_license_that_would_end_before_it_begins_is_refused() -> None:
    with pytest.raises(Invalid):
        compile_policy(commercial(), starts_at=START, ends=[START])
