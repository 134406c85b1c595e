"""合同即闸门 The contract is the gate: what the gateway enforces is compiled from the terms that were signed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.rules import term_bounds
from contracts.terms import DeliveryMode, Price, Purpose, Terms, Tier, VersionRule
from storage.kernel.problem import invalid


@dataclass(frozen=True, slots=True)
class Policy:
    """网关规则. Exactly what the gateway enforces for one license; None is unlimited.

    Limits count over the whole term. `serve_from` and `serve_until` are UTC and half-open.
    """

    tier: Tier
    product_id: str
    slug: str
    limit_calls: int | None
    limit_rows: int | None
    limit_bytes: int | None
    limit_downloads: int | None
    spend_cap_fen: int | None
    serve_from: datetime
    serve_until: datetime | None
    purposes: tuple[Purpose, ...]
    delivery: tuple[DeliveryMode, ...]
    version_rule: VersionRule
    version: str
    price: Price


def compile_policy(
    terms: Terms, *, starts_at: datetime, zone: str = "Asia/Shanghai", ends: Sequence[datetime] = ()
) -> Policy:
    """编译条款. The policy of `terms` for a license that becomes active at `starts_at` (aware).

    ends: other ends known in advance (mandate, registration, permit); the earliest one wins.
    Raises Invalid when the term is over already.
    """
    serve_from, term_end = term_bounds(terms.term, starts_at=starts_at, zone=zone)
    known = [*ends, *([term_end] if term_end else [])]
    serve_until = min(known) if known else None
    if serve_until is not None and serve_until <= serve_from:
        raise invalid(
            "term", "term.over", "许可在开始之前即告终止。", "The license would end before it begins."
        )
    return policy_between(terms, serve_from, serve_until)


def policy_between(terms: Terms, serve_from: datetime, serve_until: datetime | None) -> Policy:
    """The policy of `terms` over a span already frozen in a license."""
    return Policy(
        tier=terms.tier,
        product_id=terms.product.id,
        slug=terms.product.slug,
        limit_calls=terms.quota.calls,
        limit_rows=terms.quota.rows,
        limit_bytes=terms.quota.bytes,
        limit_downloads=terms.quota.downloads,
        spend_cap_fen=terms.spend_cap_fen,
        serve_from=serve_from,
        serve_until=serve_until,
        purposes=terms.purposes,
        delivery=terms.delivery,
        version_rule=terms.version_rule,
        version=terms.version,
        price=terms.price,
    )
