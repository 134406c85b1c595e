"""A small shelf, open gates and a till to test against."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from metering import actions
from metering.settings import MeteringSettings
from metering.tables import Credential
from metering.till import Till
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


@pytest.fixture
def settings(tmp_path: Path) -> MeteringSettings:
    return MeteringSettings().resolved(tmp_path)


@pytest.fixture
def shelve(store: Store) -> Callable[..., None]:
    """Put a version of a product on the shelf."""

    def put(
        manifest: dict[str, Any], *, product_id: str = "prd_1", tier: str = "commercial", **note: Any
    ) -> None:
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

    return put


@pytest.fixture
def licensed(store: Store, shelve: Callable[..., None]) -> Callable[..., Credential]:
    """Open gates for these licenses over one bare product; returns the buyer's credential."""

    def open_them(*licenses: str, policy: Any = None) -> Credential:
        shelve(BARE)
        with store.unit("system:test") as unit:
            for license_id in licenses:
                actions.open_gate(
                    unit,
                    license_id=license_id,
                    product_id="prd_1",
                    buyer_id="org_buyer",
                    policy=policy or SomePolicy(),
                )
            credential, _ = actions.keep_credential(unit, org_id="org_buyer", name="program")
        return credential

    return open_them


@pytest.fixture
def till(store: Store, settings: MeteringSettings) -> Iterator[Till]:
    till = Till(store.database, settings)
    yield till
    till.close()
