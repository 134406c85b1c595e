"""Products 数据产品, their immutable versions, their plans 计价方案, and their listings 挂牌."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from contracts.terms import Tier
from market.catalogue.rules import Hold, ListingState, PlanKind, ProductKind, ProductState, Zone
from market.identity.rules import OrgKind
from market.policy.inputs import DataGrade, ProductForm, SupplyKind
from storage.columns import big, choice, json_field

_SUM = "call_fen + row_fen + download_fen + fee_fen"


class Product(SQLModel, table=True):
    """数据产品. What the catalogue shows: one address, one registered asset behind it, one tier."""

    __tablename__ = "product"
    __table_args__ = (
        sa.UniqueConstraint("id", "tier", name="uq_product_id_tier"),  # so that a plan can point at both
        sa.CheckConstraint("state = 'draft' OR grade NOT IN ('CORE', 'IMPORTANT')", name="grade_tradable"),
    )

    id: str = Field(primary_key=True)
    slug: str = Field(unique=True)
    state: ProductState = Field(default=ProductState.DRAFT, sa_type=choice(ProductState), index=True)
    asset_id: str = Field(foreign_key="asset.id", index=True)
    provider_id: str = Field(index=True)
    grade: DataGrade = Field(sa_type=choice(DataGrade))  # the asset's, as of the last check
    supply: SupplyKind = Field(sa_type=choice(SupplyKind))
    created_by: str
    created_at: datetime
    listed_at: datetime | None = Field(default=None, index=True)
    current_version: int | None = None

    title_zh: str
    title_en: str
    summary_zh: str
    summary_en: str
    description: str
    kind: ProductKind = Field(sa_type=choice(ProductKind))
    zone: Zone = Field(sa_type=choice(Zone), index=True)
    tier: Tier = Field(sa_type=choice(Tier), index=True)
    delivery: list[str] = json_field()
    scenarios: list[str] = json_field()
    keywords: list[str] = json_field()
    cover: dict[str, str] = json_field()
    form: ProductForm | None = Field(
        default=None, sa_type=choice(ProductForm)
    )  # None: as its tier usually is
    permit: str = ""  # sector permit or filing


class Version(SQLModel, table=True):
    """产品版本. What one refinery run made of the asset; never changed after it is written."""

    __tablename__ = "product_version"
    __table_args__ = (
        sa.UniqueConstraint("product_id", "number"),
        sa.UniqueConstraint("product_id", "run_id", name="uq_product_version_run"),
        sa.CheckConstraint("number > 0", name="number_positive"),
    )

    id: str = Field(primary_key=True)
    product_id: str = Field(foreign_key="product.id", index=True)
    number: int
    run_id: str
    rows: int = big()
    columns: list[dict[str, Any]] = json_field()
    manifest: dict[str, Any] = json_field()  # what the shelf serves by
    sample: list[dict[str, Any]] = json_field()
    dictionary: list[dict[str, Any]] = json_field()
    published_by: str
    published_at: datetime


class Plan(SQLModel, table=True):
    """计价方案. One way to pay for one product; fen with tax.

    The tier stands on the row, tied to the product's, so that the database itself keeps
    public-good free.
    """

    __tablename__ = "plan"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["product_id", "tier"], ["product.id", "product.tier"], name="fk_plan_product"
        ),
        sa.UniqueConstraint("product_id", "code"),
        sa.CheckConstraint(
            "call_fen >= 0 AND row_fen >= 0 AND download_fen >= 0 AND fee_fen >= 0",
            name="prices_not_negative",
        ),
        sa.CheckConstraint(
            f"tier <> 'public_good' OR (kind = 'free' AND {_SUM} = 0)", name="public_good_free"
        ),
        sa.CheckConstraint(
            f"(kind = 'free' AND {_SUM} = 0) OR (kind <> 'free' AND {_SUM} > 0)", name="free_or_priced"
        ),
        sa.CheckConstraint("tax_rate_bp BETWEEN 0 AND 10000", name="tax_rate_known"),
    )

    id: str = Field(primary_key=True)
    product_id: str = Field(index=True)
    tier: Tier = Field(sa_type=choice(Tier))
    code: str
    title_zh: str
    title_en: str
    kind: PlanKind = Field(sa_type=choice(PlanKind))
    call_fen: int = big(default=0)
    row_fen: int = big(default=0)
    download_fen: int = big(default=0)
    fee_fen: int = big(default=0)  # per month
    included_calls: int | None = big(default=None)  # over a license's whole term; None is no limit
    included_rows: int | None = big(default=None)
    included_downloads: int | None = big(default=None)
    per_hit: bool = False
    tax_rate_bp: int = 600
    active: bool = True
    offer: dict[str, Any] | None = json_field(nullable=True)  # the standing offer, frozen when accepted
    offer_hash: str | None = None
    offer_accepted_by: str | None = None
    offer_accepted_at: datetime | None = None
    created_at: datetime
    retired_at: datetime | None = None


class Listing(SQLModel, table=True):
    """挂牌. The provider's standing offer for one product, and what became of it."""

    __tablename__ = "listing"
    __table_args__ = (
        sa.Index(
            "uq_listing_living",
            "product_id",
            unique=True,
            sqlite_where=sa.text("state <> 'delisted'"),
            postgresql_where=sa.text("state <> 'delisted'"),
        ),
    )

    id: str = Field(primary_key=True)
    product_id: str = Field(foreign_key="product.id", index=True)
    provider_id: str = Field(index=True)
    provider_kind: OrgKind = Field(sa_type=choice(OrgKind))  # a department never charges, whoever decides
    state: ListingState = Field(default=ListingState.DRAFT, sa_type=choice(ListingState), index=True)
    case_id: str | None = Field(default=None, foreign_key="approval_case.id")
    rules_version: str  # the tier rule pack it was checked under
    standing: dict[str, Any] = json_field()  # what every plan's offer has in common
    offer_sha256: str  # hash over the plans' offers, which the provider accepted
    offer_accepted_by: str
    offer_accepted_at: datetime
    submitted_at: datetime | None = None
    listed_at: datetime | None = None
    ended_at: datetime | None = None
    hold: Hold | None = Field(default=None, sa_type=choice(Hold))  # why it was suspended by itself
    reason: str = ""  # the last decision's


@sa.event.listens_for(Version, "before_update")
def _refuse_change(_mapper: object, _connection: object, version: Version) -> None:
    raise RuntimeError(f"version {version.number} of {version.product_id} is immutable")
