"""Data assets 数据资产, the files behind them, and the contents already registered."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from market.policy.inputs import DataGrade, OpenAttr, SupplyKind
from market.registry.rules import AssetState, FormatKind, ShareType, SourceKind, UpdateCycle
from storage.columns import Mechanism, big, choice, json_field


class Asset(SQLModel, table=True):
    """数据资产. What one organization holds and asks to have registered: catalogue fields, source, rights, grade."""

    __tablename__ = "asset"
    __table_args__ = (
        sa.CheckConstraint("state <> 'registered' OR number IS NOT NULL", name="registered_numbered"),
        sa.CheckConstraint("state <> 'registered' OR grade <> 'CORE'", name="core_never"),
    )

    id: str = Field(primary_key=True)
    state: AssetState = Field(default=AssetState.DRAFT, sa_type=choice(AssetState), index=True)
    registrant_id: str = Field(index=True)  # 登记主体: the party that declares
    created_by: str
    created_at: datetime
    submitted_by: str | None = None
    submitted_at: datetime | None = None
    accepted_at: datetime | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str = ""  # the registrar's last words
    missing: list[dict[str, Any]] = json_field()  # what a return asks for: [{"field", "note"}]
    number: str | None = Field(default=None, unique=True)
    national_code: str | None = None  # given by the official platform, never by us
    registered_at: datetime | None = None
    valid_until: datetime | None = None

    title_zh: str = ""
    title_en: str = ""
    abstract_zh: str = ""
    abstract_en: str = ""
    provider_name: str = ""
    provider_code: str = ""
    code: str = ""
    category: str = ""
    format_kind: FormatKind | None = Field(default=None, sa_type=choice(FormatKind))
    format: str = ""
    share_type: ShareType | None = Field(default=None, sa_type=choice(ShareType))
    share_condition: str = ""
    open_attr: OpenAttr | None = Field(default=None, sa_type=choice(OpenAttr))
    open_condition: str = ""
    update_cycle: UpdateCycle | None = Field(default=None, sa_type=choice(UpdateCycle))
    published_on: date | None = None
    related_codes: list[str] = json_field()
    keywords: list[str] = json_field()
    area: str = ""
    coverage_from: date | None = None
    coverage_until: date | None = None
    industry: str = ""
    system: str = ""
    scale: int | None = big(default=None)
    scale_unit: str = ""
    items: list[dict[str, Any]] = json_field()
    source_kind: SourceKind | None = Field(default=None, sa_type=choice(SourceKind))
    source_statement: str = ""
    source_evidence: list[dict[str, Any]] = json_field()
    rights: list[dict[str, Any]] = json_field()
    grade: DataGrade | None = Field(default=None, sa_type=choice(DataGrade))
    grade_basis: str = ""
    supply: SupplyKind | None = Field(default=None, sa_type=choice(SupplyKind))
    contains_pi: bool | None = None
    contains_spi: bool | None = None
    pi_basis: str = ""
    committed: bool = False


class AssetFile(SQLModel, table=True):
    """数据文件. One uploaded file of an asset; its content lies in the object store under `sha256`."""

    __tablename__ = "asset_file"
    __table_args__ = (sa.UniqueConstraint("asset_id", "sha256"),)

    id: str = Field(primary_key=True)
    asset_id: str = Field(foreign_key="asset.id", index=True)
    sha256: str = Field(index=True)
    name: str
    size: int = big()  # bytes
    format: str
    encoding: str = ""
    rows: int | None = big(default=None)
    profile: dict[str, Any] = json_field()
    attached_by: str
    attached_at: datetime


class RegisteredContent(Mechanism, table=True):
    """存证. A content hash bound to the asset registered with it; the key settles two claims at once."""

    __tablename__ = "registered_content"

    sha256: str = Field(primary_key=True)
    asset_id: str = Field(foreign_key="asset.id", index=True)
