"""Rule packs adopted, design rules switched, facts found by people, and every tier decision as it was made."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from market.policy.packs import Decision
from storage.columns import choice, json_field


class RulePack(SQLModel, table=True):
    """规则包. A pack an operator adopted; the newest is in force, the others replay old decisions."""

    __tablename__ = "rule_pack"

    version: str = Field(primary_key=True)
    sha256: str
    text: str
    adopted_by: str
    adopted_at: datetime = Field(index=True)
    reason: str


class RuleSwitch(SQLModel, table=True):
    """规则开关. A design rule switched off or on again; the newest row per rule counts, none is changed."""

    __tablename__ = "rule_switch"

    id: str = Field(primary_key=True)
    rule: str = Field(index=True)
    off: bool
    by: str
    at: datetime
    reason: str


class Finding(SQLModel, table=True):
    """复核认定. One fact a person established in a manual review, for one subject ("order:ord_…")."""

    __tablename__ = "tier_finding"
    __table_args__ = (sa.Index("ix_tier_finding_subject_term", "subject", "term"),)

    id: str = Field(primary_key=True)
    subject: str
    term: str
    value: str  # canonical, as a pack would write it
    by: str
    org: str | None = None
    at: datetime
    reason: str


class TierDecision(SQLModel, table=True):
    """分界判定. What was decided, on which facts, under which pack and switches: enough to decide it again."""

    __tablename__ = "tier_decision"

    id: str = Field(primary_key=True)
    subject: str = Field(index=True)  # "listing:lst_…", "order:ord_…"
    moment: str  # submitted, approved, resumed
    pack_version: str
    pack_sha256: str
    switched_off: list[str] = json_field()
    inputs: dict[str, Any] = json_field()
    inputs_sha256: str
    decision: Decision = Field(sa_type=choice(Decision), index=True)
    outcome: dict[str, Any] = json_field()
    by: str
    at: datetime


@sa.event.listens_for(TierDecision, "before_update")
def _refuse_change(_mapper: object, _connection: object, row: TierDecision) -> None:
    raise RuntimeError(f"tier decision {row.id} is immutable")
