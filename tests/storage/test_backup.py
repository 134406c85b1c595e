"""A backup restores everything into either database; a changed one is refused before it is read."""

from pathlib import Path

import pytest
from sqlmodel import select

from storage import journal
from storage.backup import BackupDamaged, NotEmpty, back_up, restore
from storage.database import Database
from storage.journal import Entry
from storage.objects import LocalObjects, keep
from storage.sequence import document_number
from storage.unit import Store


def fill(store: Store, objects: LocalObjects) -> str:
    stored = objects.put_bytes(b"the content")
    for number in range(5):
        with store.unit("usr_1") as unit:
            unit.record("thing.made", f"thing:{number}", reason="中文\u2028", n=number)
            document_number(unit, "DD", 2026)
            keep(unit, stored)
    journal.seal(store)
    return stored.sha256


def other(sqlite_template: Path, tmp_path: Path) -> Database:
    target = tmp_path / "restored.db"
    target.write_bytes(sqlite_template.read_bytes())
    return Database(f"sqlite:///{target}")


def test_everything_comes_back(
    store: Store, objects: LocalObjects, sqlite_template: Path, tmp_path: Path
) -> None:
    sha256 = fill(store, objects)
    manifest = back_up(store.database, objects, tmp_path / "copy")
    assert manifest["tables"]["journal_entry"]["rows"] == 5
    database, elsewhere = other(sqlite_template, tmp_path), LocalObjects(tmp_path / "elsewhere")
    restore(database, elsewhere, tmp_path / "copy")
    restored = Store(database)
    assert journal.verify_stored(restored).ok
    assert journal.verify_stored(restored).entries == 5
    assert elsewhere.exists(sha256)
    with restored.unit("usr_1") as unit:
        assert document_number(unit, "DD", 2026).startswith("DD-2026-000006-")
        unit.record("thing.made", "thing:9")
    with pytest.raises(NotEmpty):
        restore(database, elsewhere, tmp_path / "copy")
    database.close()


@pytest.mark.parametrize("damage", ["byte", "object", "manifest"])
def test_a_changed_backup_is_refused_whole(
    store: Store, objects: LocalObjects, sqlite_template: Path, tmp_path: Path, damage: str
) -> None:
    sha256 = fill(store, objects)
    back_up(store.database, objects, tmp_path / "copy")
    if damage == "byte":
        path = tmp_path / "copy" / "journal_entry.ndjson"
        path.write_bytes(path.read_bytes().replace(b"usr_1", b"usr_2", 1))
    elif damage == "object":
        (tmp_path / "copy" / "objects" / sha256).unlink()
    else:
        (tmp_path / "copy" / "manifest.json").unlink()
    database = other(sqlite_template, tmp_path)
    with pytest.raises(BackupDamaged):
        restore(database, LocalObjects(tmp_path / "elsewhere"), tmp_path / "copy")
    with Store(database).view() as view:
        assert view.session.exec(select(Entry)).all() == []
    database.close()
