"""前后哈希 What a thing was before a Unit and what it is after, as hashes: beside each entry, without its content.

A column marked `personal` is left out, so that a person can be erased and no hash of a phone stays behind.
"""

import json
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState
from sqlalchemy.orm.base import NO_VALUE

from storage.kernel.canonical import sha256_hex

PERSONAL = {"info": {"personal": True}}  # for `Field(sa_column_kwargs=PERSONAL)`


class Footprints:
    """What one Unit touched: each row by its id, with the hash it had when the Unit found it."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}
        self._rows: dict[str, Any] = {}

    def found(self, row: Any) -> None:
        """Note a row that is about to be written for the first time; call it before each flush."""
        key = _key(row)
        if key is not None and key not in self._rows:
            state: InstanceState[Any] = inspect(row)
            self._rows[key] = row
            self._before[key] = _hash(row, state.committed_state) if state.persistent else None

    def of(self, subject: str) -> tuple[str | None, str | None]:
        """The hashes before and after of an entry's subject ("order:ord_…"); nothing when it was not touched."""
        key = subject.partition(":")[2]
        row = self._rows.get(key)
        if row is None:
            return None, None
        state: InstanceState[Any] = inspect(row)
        gone = state.deleted or state.was_deleted
        return self._before[key], None if gone else _hash(row, {})


def _key(row: Any) -> str | None:
    """The id by which entries speak of a row; None for rows that are named by another."""
    columns = inspect(type(row)).primary_key
    if [column.name for column in columns] != ["id"]:
        return None
    value = row.id
    return value if isinstance(value, str) else None


def _hash(row: Any, committed: dict[str, Any]) -> str:
    """SHA-256 over table and columns of a row; `committed` holds the values it had before, where they differ."""
    mapper = inspect(type(row))
    values = {}
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        if not column.info.get("personal"):
            value = committed.get(attribute.key, NO_VALUE)
            values[attribute.key] = getattr(row, attribute.key) if value is NO_VALUE else value
    document = {"table": mapper.local_table.name, "row": values}
    return sha256_hex(json.dumps(document, sort_keys=True, default=_plain, ensure_ascii=False).encode())


def _plain(value: Any) -> Any:
    """What JSON has no word for, the same whether it was just set or read back."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Enum):
        return value.value
    return str(value)
