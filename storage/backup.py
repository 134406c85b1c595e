"""备份 A portable copy of everything kept: one consistent snapshot of every table, and every object.

The same folder restores into SQLite or PostgreSQL. Taken while the market runs: the database is read
in one snapshot, and objects never change once written.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import SQLModel

from storage.database import Database
from storage.kernel import clock
from storage.kernel.problem import Problem
from storage.kernel.words import Words
from storage.objects import Objects
from storage.unit import Unit, slow, unit_within

FORMAT = "shugang-backup/1"
BATCH = 1000
Progress = Callable[[str, int], None]  # what comes next, and how many steps there are in all


class BackupDamaged(Problem):
    """备份损坏. A file of the backup is missing or is not what the manifest says."""

    status = 409
    title = Words("备份不完整或已被改动", "The backup is incomplete or was changed")
    remedy = Words("请使用另一份备份。", "Use another backup.")


class NotEmpty(Problem):
    """目标非空. A restore goes into an empty, migrated database only."""

    status = 409
    title = Words("目标数据库不为空", "The database to restore into is not empty")
    remedy = Words("请指定新的空数据库。", "Name a new, empty database.")


def back_up(
    database: Database, objects: Objects, to: Path, progress: Progress = lambda _name, _steps: None
) -> dict[str, Any]:
    """备份. Write tables and objects into the new folder `to`; returns the manifest.

    Raises FileExistsError when `to` exists, ObjectsUnavailable, FileNotFoundError for a lost object.
    """
    slow("backup")
    to.mkdir(parents=True)
    tables: dict[str, Any] = {}
    with database.snapshot() as connection:
        stored = connection.execute(sa.text("SELECT sha256, size FROM stored_object ORDER BY sha256")).all()
        steps = len(SQLModel.metadata.sorted_tables) + len(stored)
        for table in SQLModel.metadata.sorted_tables:
            progress(table.name, steps)
            tables[table.name] = _write_table(connection, table, to / f"{table.name}.ndjson")
        revision = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
    (to / "objects").mkdir()
    for sha256, _size in stored:
        progress(sha256[:12], steps)
        objects.fetch(sha256, to / "objects" / sha256)
    manifest = {
        "format": FORMAT,
        "taken_at": clock.now().isoformat(),
        "revision": revision,
        "tables": tables,
        "objects": len(stored),
        "object_bytes": sum(size for _, size in stored),
    }
    # Written last: a folder without a manifest is not a backup.
    (to / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return manifest


def _write_table(connection: Connection, table: sa.Table, path: Path) -> dict[str, Any]:
    digest, count = hashlib.sha256(), 0
    with path.open("wb") as file:
        result = connection.execution_options(yield_per=BATCH).execute(sa.select(table))
        for row in result.mappings():
            line = (
                json.dumps({key: _pack(value) for key, value in row.items()}, ensure_ascii=False).encode()
                + b"\n"
            )
            digest.update(line)
            file.write(line)
            count += 1
    return {"rows": count, "sha256": digest.hexdigest()}


def _pack(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return {"$bytes": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, datetime):
        return {"$moment": value.isoformat()}
    return value


def _unpack(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        if "$bytes" in value:
            return base64.b64decode(value["$bytes"])
        if "$moment" in value:
            return datetime.fromisoformat(value["$moment"])
    return value


def restore(
    database: Database,
    objects: Objects,
    source: Path,
    progress: Progress = lambda _name, _steps: None,
    *,
    then: Callable[[Unit], None] | None = None,
) -> dict[str, Any]:
    """恢复. Read a backup into an empty, migrated database; objects first, then all tables in one commit.

    then: what else belongs into that very commit, so that nobody sees the tables without it.
    Returns the manifest. Raises BackupDamaged (nothing is written to the database), NotEmpty.
    """
    slow("restore")
    manifest = read_manifest(source)
    steps = manifest["objects"] + len(SQLModel.metadata.sorted_tables)
    for path in sorted((source / "objects").iterdir()):
        progress(path.name[:12], steps)
        objects.put_file(path, path.name)
    with database.writing() as connection:
        revision = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
        if revision != manifest["revision"]:
            raise BackupDamaged(revision=manifest["revision"], here=revision)
        for table in SQLModel.metadata.sorted_tables:
            if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
                raise NotEmpty(table=table.name)
        for table in SQLModel.metadata.sorted_tables:
            progress(table.name, steps)
            for rows in _batches(source / f"{table.name}.ndjson", table):
                connection.execute(sa.insert(table), rows)
        if then is not None:
            with unit_within(connection, "system:restore") as unit:
                then(unit)
    return manifest


def read_manifest(source: Path) -> dict[str, Any]:
    """The manifest, once every file it names has the hash it says. Raises BackupDamaged."""
    path = source / "manifest.json"
    if not path.exists():
        raise BackupDamaged(missing="manifest.json")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name, told in manifest["tables"].items():
        file = source / f"{name}.ndjson"
        if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != told["sha256"]:
            raise BackupDamaged(table=name)
    if len(list((source / "objects").iterdir())) != manifest["objects"]:
        raise BackupDamaged(objects=manifest["objects"])
    return manifest


def _batches(path: Path, table: sa.Table) -> Iterator[list[dict[str, Any]]]:
    # What a JSON column holds is content, whatever it looks like.
    plain = {column.name for column in table.columns if isinstance(column.type, sa.JSON)}
    batch: list[dict[str, Any]] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            batch.append({key: value if key in plain else _unpack(value) for key, value in row.items()})
            if len(batch) == BATCH:
                yield batch
                batch = []
    if batch:
        yield batch
