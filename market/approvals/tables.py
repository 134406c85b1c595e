"""Cases 审批事项 and the decisions 审批意见 taken on them."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from market.approvals.rules import CaseKind, CaseState, Verdict
from storage.columns import choice


class Case(SQLModel, table=True):
    """审批事项. Something one organization asks and people of another decide."""

    __tablename__ = "approval_case"
    __table_args__ = (
        sa.CheckConstraint("needs IN (1, 2)", name="needs_known"),
        sa.Index(
            "uq_approval_case_waiting",
            "subject",
            unique=True,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        ),
    )

    id: str = Field(primary_key=True)
    kind: CaseKind = Field(sa_type=choice(CaseKind), index=True)
    subject: str = Field(index=True)  # "listing:lst_…"
    state: CaseState = Field(default=CaseState.WAITING, sa_type=choice(CaseState), index=True)
    submitted_by: str
    submitted_org: str = Field(index=True)
    needs: int = 1  # how many different people must approve
    version: int = 1  # grows with every decision; whoever read an older one is told
    opened_at: datetime
    due_at: datetime
    closed_at: datetime | None = None


class Decision(SQLModel, table=True):
    """审批意见. What one person said, for which organization, in which role, and why."""

    __tablename__ = "approval_decision"
    __table_args__ = (sa.UniqueConstraint("case_id", "by"),)

    id: str = Field(primary_key=True)
    case_id: str = Field(foreign_key="approval_case.id", index=True)
    by: str
    org: str | None = None
    role: str
    verdict: Verdict = Field(sa_type=choice(Verdict))
    reason: str
    at: datetime
