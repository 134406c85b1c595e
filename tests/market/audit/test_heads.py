"""A signed head a day, and an export that any machine can check: whatever is changed is named."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from contracts import keyring
from contracts.detached import key_id
from market import chores
from market.audit import queries
from market.audit.actions import sign_day, unsigned_day
from market.audit.heads import Checked, NotAnExport, check_export, is_signed
from market.audit.tables import SignedHead
from market.house import House
from storage import journal
from storage.kernel import clock
from storage.unit import Store

START = datetime(2026, 11, 20, 3, tzinfo=UTC)


def lived(house: House, days: int = 3) -> list[bytes]:
    """Some days with entries and a signed head each; the export."""
    for number in range(days):
        with clock.held(START + timedelta(days=number)):
            for thing in range(4):
                with house.store.unit("system:test") as unit:
                    unit.record("thing.done", f"thing:{number}-{thing}", reason="四个字以上")
            journal.seal(house.store)
            chores.sign_head(house)
            chores.sign_head(house)  # twice is once
    journal.seal(house.store)
    return list(queries.export(house.store))


def keys(store: Store) -> dict[str, OKPKey]:
    with store.view() as view:
        rows = keyring.trusted_keys(view)
    found = [OKPKey.import_key({k: v for k, v in row.items() if not k.endswith("_at")}) for row in rows]
    return {key_id(key): key for key in found}


def test_a_head_is_signed_once_a_day_and_follows_the_one_before(house: House) -> None:
    lines = lived(house)
    with house.store.view() as view:
        heads = queries.signed_heads(view)
        assert [head.day for head in heads] == ["2026-11-19", "2026-11-20", "2026-11-21"]
        assert queries.broken_head(view, keys(house.store)) is None
        assert [head.day for head in queries.signed_heads(view, 1)] == ["2026-11-21"]
    checked = check_export(iter(lines), keys(house.store))
    assert checked.ok
    assert (checked.heads, checked.signed) == (3, True)
    assert checked.chain.entries == len(lines) - 3
    with clock.held(START + timedelta(days=2)), house.store.view() as view:
        assert unsigned_day(view, "Asia/Shanghai") is None


def flipped(lines: list[bytes], at: int, old: bytes, new: bytes) -> list[bytes]:
    assert old in lines[at]
    return [line.replace(old, new, 1) if number == at else line for number, line in enumerate(lines)]


def checked(house: House, lines: list[bytes]) -> Checked:
    return check_export(iter(lines), keys(house.store))


def test_whatever_is_changed_is_named(house: House) -> None:
    lines = lived(house)
    third = json.loads(lines[5])
    wrong = checked(house, flipped(lines, 5, b"thing.done", b"thing.dome"))
    assert (wrong.chain.broken_at, wrong.chain.entry) == (third["seq"], third["id"])
    assert not checked(house, [line for number, line in enumerate(lines) if number != 5]).ok, "one left out"
    assert checked(house, flipped(lines, 1, b'"seq":', b'"seq":1')).broken_head == "2026-11-20"
    assert checked(house, flipped(lines, 2, b"2026-11-21", b"2026-11-22")).broken_head == "2026-11-22"
    assert checked(house, lines[1:]).broken_head == "2026-11-20", "the first head is missing"
    cut = checked(house, lines[:-6])
    assert (cut.ok, cut.broken_head) == (False, "2026-11-21"), "the chain ends before the last head"


def test_a_rewritten_chain_does_not_run_through_a_head_kept_outside(house: House) -> None:
    """Somebody with the whole database rewrites history and chains it anew; one head kept elsewhere shows it."""
    lines = lived(house)
    before, rewritten = journal.GENESIS, []
    for line in lines[3:]:
        row = json.loads(line)
        content = {name: value for name, value in row.items() if name != "hash"}
        if row["seq"] == 2:
            content["data"] = {"reason": "什么也没有发生"}
        before = journal.link(before, content)
        rewritten.append(json.dumps(content | {"hash": before}).encode())
    assert check_export(iter(rewritten)).ok, "without a head nobody notices"
    assert checked(house, [*lines[:3], *rewritten]).broken_head == "2026-11-19"


def test_a_head_of_another_key_is_refused(house: House) -> None:
    lines = lived(house, 1)
    head = json.loads(lines[0])["head"]
    assert is_signed(head, keys(house.store))
    stranger = OKPKey.generate_key("Ed25519", auto_kid=False)
    assert check_export(iter(lines), {key_id(stranger): stranger}).reason == "no trusted key signed it"
    for broken in ({**head, "signature": "x"}, {**head, "kid": "?"}, {**head, "hash": "0" * 64}, {}):
        assert not is_signed(broken, keys(house.store))


@pytest.mark.parametrize("line", [b"\xff\xfe", b"[1]", b'{"seq": "1", "id": 1, "hash": 2}', b'{"head": 5}'])
def test_what_is_no_entry_is_named_by_its_line(house: House, line: bytes) -> None:
    lines = lived(house, 1)
    with pytest.raises(NotAnExport) as refusal:
        checked(house, [*lines[:2], line, *lines[2:]])
    assert refusal.value.line == 3


def test_a_stored_head_that_was_changed_is_named(house: House) -> None:
    lived(house)
    with house.store.unit("system:test") as unit:
        row = unit.session.get_one(SignedHead, "2026-11-20")
        row.document = {**row.document, "seq": 1}
        unit.session.add(row)
        unit.record("test.forged", "journal:2026-11-20")
    with house.store.view() as view:
        assert queries.broken_head(view, keys(house.store)) is not None


def test_two_signers_at_once_sign_one_head(house: House) -> None:
    key: Any = house.document_key()
    for _ in range(2):
        with house.store.unit("system:clock") as unit:
            sign_day(unit, "2026-11-20", zone="Asia/Shanghai", key=key)
    with house.store.view() as view:
        assert view.session.execute(sa.select(sa.func.count()).select_from(SignedHead)).scalar_one() == 1


def test_the_export_stands_alone(house: House, tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(lived(house)))
    with path.open("rb") as lines:
        assert check_export(lines).ok
