"""What the refinery keeps: runs and the lineage they prove."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from market.refinery.rules import RunState
from storage.columns import Moment, big, choice, json_field


class Run(SQLModel, table=True):
    """清洗运行. One recipe applied to one file, with everything needed to repeat and to prove it.

    `dropped` counts rows lost at each step, in the recipe's order. `outputs` lists objects
    `{kind: parquet|csv|serving, name, sha256, size}`. `lease_until` is when a run in progress
    counts as lost; `attempt` tells a late answer of a lost attempt from the current one.
    """

    __tablename__ = "refinery_run"
    __table_args__ = (
        CheckConstraint("attempt >= 0", name="attempt_natural"),
        CheckConstraint("output_rows IS NULL OR output_rows > 0", name="output_rows_positive"),
        CheckConstraint("state <> 'succeeded' OR finished_at IS NOT NULL", name="succeeded_finished"),
    )

    id: str = Field(primary_key=True)
    state: RunState = Field(default=RunState.QUEUED, sa_type=choice(RunState))
    asset_id: str = Field(index=True)
    asset_file_sha256: str
    file_name: str
    encoding: str | None = None
    recipe: dict[str, Any] = json_field()
    recipe_hash: str
    indexes: list[str] = json_field()
    requested_by: str
    org: str | None = Field(default=None, index=True)
    attempt: int = 0
    requested_at: datetime = Field(sa_type=Moment)
    started_at: datetime | None = Field(default=None, sa_type=Moment)
    lease_until: datetime | None = Field(default=None, sa_type=Moment, index=True)
    finished_at: datetime | None = Field(default=None, sa_type=Moment)
    input_rows: int | None = big(None)
    output_rows: int | None = big(None)
    dropped: list[int] | None = json_field(nullable=True)
    outputs: list[dict[str, Any]] | None = json_field(nullable=True)
    schema_: list[dict[str, Any]] | None = json_field(nullable=True)
    profile: dict[str, Any] | None = json_field(nullable=True)
    engine: str | None = None
    problem: dict[str, Any] | None = json_field(nullable=True)


class LineageEdge(SQLModel, table=True):
    """血缘. One thing made from another by a run; both ends carry the hash of their content."""

    __tablename__ = "lineage_edge"
    __table_args__ = (UniqueConstraint("run_id", "from_hash", "to_hash"),)

    id: str = Field(primary_key=True)
    run_id: str = Field(index=True)
    from_kind: str
    from_id: str = Field(index=True)
    from_hash: str
    to_kind: str
    to_id: str = Field(index=True)
    to_hash: str = Field(index=True)
