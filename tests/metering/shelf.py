"""What the tests put on the shelf, and policies as a contract would compile them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from metering import actions
from storage.unit import Store


@dataclass(frozen=True)
class SomePrice:
    call_fen: int = 0
    row_fen: int = 0
    download_fen: int = 0
    per_hit: bool = False


@dataclass(frozen=True)
class SomePolicy:
    tier: str = "commercial"
    limit_calls: int | None = None
    limit_rows: int | None = None
    limit_bytes: int | None = None
    limit_downloads: int | None = None
    spend_cap_fen: int | None = None
    serve_from: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    serve_until: datetime | None = None
    purposes: Sequence[str] = ("internal_business",)
    delivery: Sequence[str] = ("api", "file")
    version_rule: str = "latest"
    version: str = "1"
    price: SomePrice = field(default_factory=SomePrice)


BARE: dict[str, Any] = {
    "version": 1, "rows": 0, "columns": [], "query_columns": [], "files": {}, "published_at": "2026-01-01",
}  # fmt: skip


def put_on_shelf(
    store: Store,
    manifest: dict[str, Any],
    *,
    product_id: str = "prd_1",
    tier: str = "commercial",
    **note: Any,
) -> None:
    """Shelve a version; `note` adds to the license note."""
    with store.unit("system:test") as unit:
        actions.shelve(
            unit,
            product_id=product_id,
            slug=product_id.replace("prd_", "product-"),
            tier=tier,
            title_zh="气象站点",
            title_en="Weather stations",
            provider_id="org_provider",
            version=manifest["version"],
            manifest=manifest,
            delivery=["api", "file"],
            license_note={"zh": "示范许可", "en": "Model license", "id": "od-1.0", **note},
        )
