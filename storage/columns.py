"""Column types that mean the same on SQLite and PostgreSQL."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import JSON, TypeEngine
from sqlmodel import Field, SQLModel, UTCDateTime

from storage.kernel.words import Worded

Moment = UTCDateTime
Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def choice(kind: type[Worded]) -> sa.Enum:
    """A CHECKed text column that stores the member's value (SQLModel alone would store its name)."""
    return sa.Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        length=40,
        name=f"{kind.__name__.lower()}_known",
        values_callable=lambda members: [member.value for member in members],
    )


def json_type() -> TypeEngine[Any]:
    """JSON text on SQLite, JSONB on PostgreSQL."""
    return JSON().with_variant(JSONB(), "postgresql")


def json_field(*, nullable: bool = False) -> Any:
    """A column that holds a JSON object or list; replace it whole, never change it in place."""
    return Field(default=None if nullable else ..., sa_type=json_type(), nullable=nullable)


def big(default: Any = ..., **options: Any) -> Any:
    """A 64-bit integer column (sizes, counts, fen)."""
    return Field(default=default, sa_type=Big, **options)


class Mechanism(SQLModel):
    """A row that explains itself (cursor, session, idempotency key): writing it alone needs no journal entry."""
