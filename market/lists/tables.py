"""Versions 清单版本 of the two lists, their entries 条目 revision by revision, and the edits 修订 behind them."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from market.lists.matching import Rule
from market.lists.rules import EditState, Entry, ListKind
from storage.columns import choice, json_field


class ListEdit(SQLModel, table=True):
    """清单修订. Changes one person proposes and another, in another role, approves; then they are a version."""

    __tablename__ = "list_edit"
    __table_args__ = (
        sa.CheckConstraint("(state = 'published') = (version IS NOT NULL)", name="published_numbered"),
        sa.CheckConstraint("decided_by IS NULL OR decided_by <> proposed_by", name="two_people"),
        sa.UniqueConstraint("kind", "version"),
    )

    id: str = Field(primary_key=True)  # led_…
    kind: ListKind = Field(sa_type=choice(ListKind), index=True)
    state: EditState = Field(default=EditState.SUBMITTED, sa_type=choice(EditState), index=True)
    changes: list[dict[str, Any]] = json_field()
    summary: str  # why the list is edited
    based_on: int  # the version the editor read; 0 before the first
    proposed_by: str
    proposed_org: str = Field(index=True)
    proposed_roles: list[str] = json_field()
    proposed_at: datetime
    case_id: str | None = Field(default=None, foreign_key="approval_case.id", unique=True)
    version: int | None = None  # what it was published as
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str = ""  # of the decision


class ListVersion(SQLModel, table=True):
    """清单版本. The list as published, with the hash over all its entries; never changed."""

    __tablename__ = "list_version"
    __table_args__ = (sa.CheckConstraint("number > 0", name="number_positive"),)

    kind: ListKind = Field(primary_key=True, sa_type=choice(ListKind))
    number: int = Field(primary_key=True)
    edit_id: str = Field(foreign_key="list_edit.id", unique=True)
    entries: int
    sha256: str  # over the canonical entries by code
    published_at: datetime
    swept_on: date | None = None  # the day listed products were last compared with it


class ListEntry(SQLModel, table=True):
    """清单条目. One revision of one entry, on the list from one version until another."""

    __tablename__ = "list_entry"
    __table_args__ = (
        sa.UniqueConstraint("code", "revision"),
        sa.CheckConstraint("until_version IS NULL OR until_version > since_version", name="versions_order"),
        sa.Index(
            "uq_list_entry_current",
            "code",
            unique=True,
            sqlite_where=sa.text("until_version IS NULL"),
            postgresql_where=sa.text("until_version IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)  # lse_…
    kind: ListKind = Field(sa_type=choice(ListKind), index=True)
    code: str  # FM-0001, KF-0001
    revision: int
    since_version: int
    until_version: int | None = Field(default=None, index=True)  # exclusive; None: on the list now
    resource: str = Field(default="", index=True)  # of an open entry
    content: dict[str, Any] = json_field()

    def entry(self) -> Entry:
        """What the entry says."""
        return Entry.model_validate(self.content)

    def rule(self) -> Rule:
        """The entry as a rule that catches things."""
        return Rule(self.code, self.revision, self.entry())
