"""Secrecy reviews 保密审查, gradings 分级 and filed papers 备案材料, each of one asset; rows are never taken back."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from market.policy.inputs import DataGrade, Secrecy
from market.screening.rules import FilingKind, FilingState
from storage.columns import choice, json_field


class SecrecyReview(SQLModel, table=True):
    """保密审查. One request, for the very contents it names, and what another person said to it."""

    __tablename__ = "secrecy_review"
    __table_args__ = (
        sa.Index(
            "uq_secrecy_review_pending",
            "asset_id",
            unique=True,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        ),
        sa.CheckConstraint("reviewed_by IS NULL OR reviewed_by <> asked_by", name="another_person"),
        sa.CheckConstraint("state = 'pending' OR reviewed_by IS NOT NULL", name="reviewed_by_somebody"),
    )

    id: str = Field(primary_key=True)
    asset_id: str = Field(foreign_key="asset.id", index=True)
    state: Secrecy = Field(default=Secrecy.PENDING, sa_type=choice(Secrecy), index=True)
    contents: str  # hash over the hashes of the asset's files, as they were
    personal: bool
    export: bool
    statement: str
    asked_by: str
    asked_org: str = Field(index=True)
    asked_at: datetime
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    reason: str = ""
    evidence: str = ""


class Grading(SQLModel, table=True):
    """分级. What grade follows from the harms named for each field, and why."""

    __tablename__ = "asset_grading"

    id: str = Field(primary_key=True)
    asset_id: str = Field(foreign_key="asset.id", index=True)
    grade: DataGrade = Field(sa_type=choice(DataGrade))
    fields: dict[str, Any] = json_field()  # field → grade
    facts: dict[str, Any] = json_field()  # what it was graded from
    reasons: list[dict[str, Any]] = json_field()
    graded_by: str
    graded_at: datetime


class AssetFiling(SQLModel, table=True):
    """备案材料. One paper about an asset by its number and date, and who took it for good."""

    __tablename__ = "asset_filing"
    __table_args__ = (
        sa.Index(
            "uq_asset_filing_open",
            "asset_id",
            "kind",
            "number",
            unique=True,
            sqlite_where=sa.text("state IN ('filed', 'in_force')"),
            postgresql_where=sa.text("state IN ('filed', 'in_force')"),
        ),
        sa.CheckConstraint("state <> 'in_force' OR reviewed_by IS NOT NULL", name="checked_by_somebody"),
        sa.CheckConstraint(
            "kind = 'dispute' OR reviewed_by IS NULL OR reviewed_by <> filed_by", name="another_person"
        ),
    )

    id: str = Field(primary_key=True)
    asset_id: str = Field(foreign_key="asset.id", index=True)
    kind: FilingKind = Field(sa_type=choice(FilingKind))
    state: FilingState = Field(default=FilingState.FILED, sa_type=choice(FilingState), index=True)
    number: str
    authority: str  # who issued or received it
    dated: date
    valid_until: date | None = None  # the last day; empty: until it is ended
    note: str = ""
    filed_by: str
    filed_org: str = Field(index=True)
    filed_at: datetime
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    reason: str = ""
    ended_by: str | None = None
    ended_at: datetime | None = None
    end_reason: str = ""
