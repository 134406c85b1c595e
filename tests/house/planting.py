"""Rows of one organization made straight from the tables, so that a stranger can try to reach each of them."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

from storage.columns import Moment
from storage.kernel.ids import new_id
from storage.unit import Store

# Columns that say whose a row is.
OWNERS = {"org_id", "owner_id", "party_id", "buyer_id", "seller_id", "provider_id", "payer_id", "payee_id"}


class Planter:
    """Makes the least row a table accepts, owned by one organization, with the rows it refers to."""

    def __init__(self, store: Store, owner: str, member: str) -> None:
        self.store, self.owner, self.member = store, owner, member
        self.made: dict[str, dict[str, Any]] = {}

    def id_of(self, table: str, **given: Any) -> str:
        """The primary key of this organization's row in `table`, made on the first call."""
        key = next(iter(SQLModel.metadata.tables[table].primary_key)).name
        return str(self.row(table, **given)[key])

    def row(self, table: str, **given: Any) -> dict[str, Any]:
        if table not in self.made:
            known = SQLModel.metadata.tables[table]
            values = {
                column.name: self._value(column)
                for column in known.columns
                if column.name not in given and self._needed(column)
            } | given
            with self.store.unit("system:test") as unit:
                unit.session.execute(sa.insert(known).values(**values))
                unit.record("row.planted", f"{table}:1")
            self.made[table] = values
        return self.made[table]

    def _needed(self, column: sa.Column[Any]) -> bool:
        return not column.nullable or column.name in OWNERS

    def _value(self, column: sa.Column[Any]) -> Any:
        for foreign in column.foreign_keys:
            target = foreign.column
            if target.table.name == "party":
                return self.owner
            if target.table.name == "user_account":
                return self.member
            return self.row(target.table.name)[target.name]
        if column.name in OWNERS or column.name.endswith(("_org", "_org_id")):
            return self.owner
        if column.name.endswith("_by"):
            return self.member
        if column.default is not None and column.default.is_scalar:
            return column.default.arg  # type: ignore[attr-defined]  # a scalar default has one
        return self._of_type(column)

    def _of_type(self, column: sa.Column[Any]) -> Any:
        kind = column.type
        if isinstance(kind, sa.Enum):
            return kind.enums[0] if kind.enum_class is None else next(iter(kind.enum_class))
        if isinstance(kind, sa.Boolean):
            return False
        if isinstance(kind, sa.Integer):
            return 1
        if isinstance(kind, Moment | sa.DateTime):
            return datetime(2026, 1, 5, tzinfo=UTC)
        if isinstance(kind, sa.Date):
            return datetime(2026, 1, 5, tzinfo=UTC).date()
        if isinstance(kind, sa.JSON):
            return {}
        if isinstance(kind, sa.LargeBinary):
            return b"\x00" * 32
        return new_id("x") if column.primary_key or column.unique else "x"
