"""Signed heads of the journal 每日链尾, and what is kept longer than its term 法律保全."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from storage.columns import big, json_field


class SignedHead(SQLModel, table=True):
    """每日链尾. The chain's head after a day, signed, to be kept by others too."""

    __tablename__ = "journal_signed_head"

    day: str = Field(primary_key=True)  # YYYY-MM-DD in the market's zone
    seq: int = big()
    hash: str
    document: dict[str, Any] = json_field()
    signed_at: datetime


class LegalHold(SQLModel, table=True):
    """法律保全. While it is in force nothing of its subject ("party:pty_…") or kind is purged or erased."""

    __tablename__ = "legal_hold"

    id: str = Field(primary_key=True)
    subject: str = Field(index=True)
    reason: str
    by: str
    placed_at: datetime
    lifted_at: datetime | None = None
    lifted_by: str | None = None
