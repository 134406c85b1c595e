"""Data assets 数据资产, their files and contents, and what becomes of a registration: notices, applications, certificates."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from market.policy.inputs import DataGrade, OpenAttr, SupplyKind
from market.registry.life import (
    AmendmentKind,
    AmendmentState,
    CancelGround,
    ObjectionState,
    StepKind,
)
from market.registry.rules import AssetState, FormatKind, ShareType, SourceKind, UpdateCycle
from storage.columns import Mechanism, big, choice, json_field

_OPEN_AMENDMENT = "state IN ('offered', 'submitted', 'returned', 'under_review', 'publicity', 'objected')"
_OPEN_OBJECTION = "state IN ('raised', 'answered')"


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
    renewals: int = 0  # the number keeps; the n-th renewal adds -Rn
    reviewed_by: str | None = None
    similar: list[dict[str, Any]] = json_field()  # what looked like a duplicate at submission
    refreshed_at: datetime | None = None  # when the data was last brought up to date
    ended_at: datetime | None = None

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


class Amendment(SQLModel, table=True):
    """登记申请. What is asked for after the first registration; the asset stays as it is until it is applied."""

    __tablename__ = "asset_amendment"
    __table_args__ = (
        sa.Index(
            "uq_asset_amendment_open",
            "asset_id",
            unique=True,
            sqlite_where=sa.text(_OPEN_AMENDMENT),
            postgresql_where=sa.text(_OPEN_AMENDMENT),
        ),
        sa.CheckConstraint("kind <> 'transfer' OR to_party IS NOT NULL", name="transfer_to_somebody"),
        sa.CheckConstraint("kind <> 'cancellation' OR ground IS NOT NULL", name="cancelled_for_a_reason"),
    )

    id: str = Field(primary_key=True)
    asset_id: str = Field(foreign_key="asset.id", index=True)
    kind: AmendmentKind = Field(sa_type=choice(AmendmentKind))
    state: AmendmentState = Field(sa_type=choice(AmendmentState), index=True)
    registrant_id: str = Field(index=True)  # who asks
    asked_by: str
    asked_at: datetime
    cause: str  # in the registrant's words
    changes: list[dict[str, Any]] = json_field()  # the diff, kept for ever: [{"field", "before", "after"}]
    material: bool = False
    ground: CancelGround | None = Field(default=None, sa_type=choice(CancelGround))
    to_party: str | None = Field(default=None, index=True)
    agreed_by: str | None = None
    agreed_at: datetime | None = None
    evidence: list[dict[str, Any]] = json_field()
    missing: list[dict[str, Any]] = json_field()
    reason: str = ""  # the registrar's last words
    reviewed_by: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None


class Notice(SQLModel, table=True):
    """公示. What the public is told before a registration or a material change, and for how long."""

    __tablename__ = "public_notice"

    id: str = Field(primary_key=True)
    number: str = Field(unique=True)
    asset_id: str = Field(foreign_key="asset.id", index=True)
    amendment_id: str | None = Field(default=None, foreign_key="asset_amendment.id", index=True)
    days: int  # working days given
    opened_at: datetime
    opened_by: str
    runs_from: datetime  # when the clock last began to run
    last_day: date
    ends_at: datetime = Field(index=True)
    settled: bool  # every day counted by the State Council's own notice
    paused_at: datetime | None = None
    remaining: int | None = None  # working days left while paused
    closed_at: datetime | None = None
    outcome: str = ""


class Objection(SQLModel, table=True):
    """异议. Somebody's statement and evidence against what is on notice, the answer to it, and the decision."""

    __tablename__ = "objection"
    __table_args__ = (
        sa.Index(
            "uq_objection_open",
            "notice_id",
            "raised_by",
            unique=True,
            sqlite_where=sa.text(_OPEN_OBJECTION),
            postgresql_where=sa.text(_OPEN_OBJECTION),
        ),
    )

    id: str = Field(primary_key=True)
    notice_id: str = Field(foreign_key="public_notice.id", index=True)
    asset_id: str = Field(foreign_key="asset.id", index=True)
    state: ObjectionState = Field(default=ObjectionState.RAISED, sa_type=choice(ObjectionState))
    raised_by: str = Field(index=True)
    raised_org: str | None = None
    raised_at: datetime
    statement: str
    evidence: list[dict[str, Any]] = json_field()
    answer_until: datetime  # until when the registrant is heard
    answer: str = ""
    answered_by: str | None = None
    answered_at: datetime | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str = ""


class RegistrationStep(SQLModel, table=True):
    """登记沿革. One change of standing; the status at any time is read from these."""

    __tablename__ = "registration_step"
    __table_args__ = (sa.UniqueConstraint("asset_id", "serial"),)

    id: str = Field(primary_key=True)
    asset_id: str = Field(foreign_key="asset.id", index=True)
    serial: int
    kind: StepKind = Field(sa_type=choice(StepKind))
    at: datetime
    valid_until: datetime
    registrant_id: str
    amendment_id: str | None = None
    reason: str = ""


class Certificate(SQLModel, table=True):
    """登记凭证. The content frozen with its step; signature and print follow within a moment."""

    __tablename__ = "certificate"
    __table_args__ = (sa.UniqueConstraint("asset_id", "serial"),)

    id: str = Field(primary_key=True)
    asset_id: str = Field(foreign_key="asset.id", index=True)
    serial: int
    number: str = Field(index=True)  # with the renewal it stands for
    content: dict[str, Any] = json_field()
    content_hash: str
    issued_at: datetime
    document: dict[str, Any] | None = json_field(nullable=True)
    pdf_sha256: str | None = None


class DataItem(SQLModel, table=True):
    """数据项. One thing the public sector should collect once: 一数一源."""

    __tablename__ = "data_item"

    id: str = Field(primary_key=True)
    code: str = Field(unique=True)
    name_zh: str
    name_en: str
    definition: str = ""
    kept_by: str
    kept_at: datetime


class ItemSource(SQLModel, table=True):
    """数据项来源. An asset that holds a data item, with who collects, approves and provides it there."""

    __tablename__ = "item_source"
    __table_args__ = (
        sa.UniqueConstraint("item_id", "asset_id"),
        # Of two claims at once the index lets one through, whatever anybody checked before.
        sa.Index(
            "uq_item_source_authoritative",
            "item_id",
            unique=True,
            sqlite_where=sa.text("authoritative"),
            postgresql_where=sa.text("authoritative"),
        ),
        sa.CheckConstraint(
            "NOT authoritative OR (collector <> '' AND approver <> '' AND provider <> '')",
            name="three_roles",
        ),
    )

    id: str = Field(primary_key=True)
    item_id: str = Field(foreign_key="data_item.id", index=True)
    asset_id: str = Field(foreign_key="asset.id", index=True)
    field: str  # the asset's own name of it
    collector: str = ""
    approver: str = ""
    provider: str = ""
    authoritative: bool = False
    since: datetime | None = None
    named_by: str
    named_at: datetime
    reason: str = ""


class CrossCheck(SQLModel, table=True):
    """多元校核. Two files compared by key: how often they agree, and where they do not."""

    __tablename__ = "cross_check"

    id: str = Field(primary_key=True)
    left_asset_id: str = Field(foreign_key="asset.id", index=True)
    right_asset_id: str = Field(foreign_key="asset.id", index=True)
    left_sha256: str
    right_sha256: str
    item_id: str | None = Field(default=None, foreign_key="data_item.id")
    result: dict[str, Any] = json_field()
    asked_by: str
    asked_at: datetime


class DirectoryEntry(SQLModel, table=True):
    """目录条目. A resource a department holds, registered or not: the whole inventory, what is closed included."""

    __tablename__ = "directory_entry"
    __table_args__ = (sa.UniqueConstraint("provider_code", "code"),)

    id: str = Field(primary_key=True)
    provider_code: str
    provider_name: str
    code: str
    title_zh: str
    title_en: str = ""
    abstract: str = ""
    system: str = Field(default="", index=True)
    category: str = ""
    format_kind: FormatKind | None = Field(default=None, sa_type=choice(FormatKind))
    format: str = ""
    share_type: ShareType = Field(sa_type=choice(ShareType))
    share_condition: str = ""
    open_attr: OpenAttr = Field(sa_type=choice(OpenAttr))
    open_condition: str = ""  # the condition, or why it is not opened
    update_cycle: UpdateCycle | None = Field(default=None, sa_type=choice(UpdateCycle))
    items: list[str] = json_field()
    scale: int | None = big(default=None)
    scale_unit: str = ""
    published_on: date | None = None
    digest: str  # of what was said, to tell unchanged from updated
    created_at: datetime
    changed_at: datetime


class DirectoryImport(SQLModel, table=True):
    """目录导入. One file that was brought in, and what became of its rows."""

    __tablename__ = "directory_import"

    id: str = Field(primary_key=True)
    name: str
    sha256: str
    asked_by: str
    org_id: str | None = Field(default=None, index=True)
    began_at: datetime
    ended_at: datetime | None = None  # empty while running, and for ever after a crash: run it again
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    refusals: list[dict[str, Any]] = json_field()  # the first ones: [{"row", "code", "errors"}]
