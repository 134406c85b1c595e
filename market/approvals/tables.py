"""Cases 审批事项, the decisions 审批意见 taken on them, who decides for whom, and which rules decide by themselves."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from market.approvals.rules import CaseKind, CaseState, Verdict
from storage.columns import choice, json_field


class Case(SQLModel, table=True):
    """审批事项. Something one organization asks and people of another decide."""

    __tablename__ = "approval_case"
    __table_args__ = (
        sa.CheckConstraint("needs IN (1, 2)", name="needs_known"),
        sa.CheckConstraint("risk_score BETWEEN 0 AND 100", name="risk_known"),
        sa.Index(
            "uq_approval_case_open",
            "subject",
            unique=True,
            sqlite_where=sa.text("state IN ('waiting', 'returned')"),
            postgresql_where=sa.text("state IN ('waiting', 'returned')"),
        ),
    )

    id: str = Field(primary_key=True)
    kind: CaseKind = Field(sa_type=choice(CaseKind), index=True)
    subject: str = Field(index=True)  # "listing:lst_…"
    state: CaseState = Field(default=CaseState.WAITING, sa_type=choice(CaseState), index=True)
    submitted_by: str
    submitted_org: str = Field(index=True)
    needs: int = 1  # how many different people must approve; two are of two roles
    version: int = 1  # grows with every decision and every correction; whoever read an older one is told
    round: int = 1  # how often it was submitted; decisions of an earlier round are kept and do not count
    assigned_to: str | None = Field(default=None, index=True)
    facts: dict[str, Any] = json_field()  # what it stood on when it was submitted
    risk_score: int = 0
    risks: list[dict[str, Any]] = json_field()  # what the score is made of
    rules_version: str = ""  # the rule pack it was judged under
    note: str = ""  # what the applicant said with the last submission
    opened_at: datetime
    submitted_at: datetime
    due_at: datetime
    expires_at: datetime = Field(index=True)
    reminded_at: datetime | None = None
    escalated_at: datetime | None = None
    closed_at: datetime | None = None


class Decision(SQLModel, table=True):
    """审批意见. What one person said, for which organization, in which role, and why."""

    __tablename__ = "approval_decision"
    __table_args__ = (sa.UniqueConstraint("case_id", "round", "by"),)

    id: str = Field(primary_key=True)
    case_id: str = Field(foreign_key="approval_case.id", index=True)
    round: int = 1
    by: str  # "usr_…", or "system:rule:…"
    on_behalf_of: str | None = None  # 代: who is away and would have decided
    org: str | None = None
    role: str
    verdict: Verdict = Field(sa_type=choice(Verdict))
    reason: str
    at: datetime


class Delegation(SQLModel, table=True):
    """委托代办. Somebody is away, and a person with the same permission decides what was in their charge."""

    __tablename__ = "approval_delegation"
    __table_args__ = (sa.CheckConstraint("person <> deputy", name="two_people"),)

    id: str = Field(primary_key=True)
    person: str = Field(index=True)
    org: str
    deputy: str = Field(index=True)
    begins_at: datetime
    ends_at: datetime
    reason: str
    made_at: datetime
    ended_at: datetime | None = None


class RuleSwitch(SQLModel, table=True):
    """自动审批开关. Whether a rule decides by itself, who said so and why; without a row it is off."""

    __tablename__ = "approval_rule_switch"

    code: str = Field(primary_key=True)
    on: bool
    by: str
    reason: str
    at: datetime
