"""Statements offline: signed by a trusted key, each line under the root, and what was altered is named."""

import copy
import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from contracts.detached import key_id, sign_detached
from metering import queries
from metering.gate import Charge, new_charge_key
from metering.merkle import EMPTY, merkle_root, proofs
from metering.statements import (
    FORMAT,
    Check,
    counted_period,
    issue_statement,
    leaf,
    verify_statement,
)
from metering.tables import UsageEvent
from metering.till import Till
from metering.words import Kind
from storage.kernel import clock
from storage.unit import Store
from tests.metering.shelf import SomePolicy, SomePrice

SUMMED = ("calls", "rows", "bytes", "amount_fen")
KIND = "shugang-usage-statement+jws"
KEY = OKPKey.generate_key("Ed25519", auto_kid=True)
STRANGER = OKPKey.generate_key("Ed25519", auto_kid=True)
TRUSTED = {key_id(KEY): KEY}


def signed(document: dict[str, Any], key: OKPKey = KEY, kind: str = KIND) -> dict[str, Any]:
    """The document with count, sums and root made to fit its lines, signed anew."""
    lines = document["events"]
    header = {name: value for name, value in document.items() if name not in {"events", "signature"}} | {
        "count": len(lines),
        "totals": {name: sum(line[name] for line in lines) for name in SUMMED},
        "root": merkle_root([leaf(line) for line in lines]),
    }
    return header | {"signature": sign_detached(header, kind, key), "events": lines}


def a_statement(count: int) -> dict[str, Any]:
    lines: list[dict[str, Any]] = [
        {"charge_id": f"chg_{n:04d}", "calls": 1, "rows": n, "bytes": 9, "amount_fen": 2}
        for n in range(count)
    ]
    for line, path in zip(lines, proofs([leaf(line) for line in lines]), strict=True):
        line["proof"] = path
    return signed(
        {
            "format": FORMAT,
            "license": "lic_1",
            "period": "2026-10",
            "issued_at": "2026-11-02T03:00:00+00:00",
            "kid": key_id(KEY),
            "events": lines,
        }
    )


def without_proofs(document: dict[str, Any]) -> dict[str, Any]:
    lines = [{name: line[name] for name in line if name != "proof"} for line in document["events"]]
    return document | {"events": lines}


@pytest.mark.parametrize("count", [0, 1, 2, 7, 33])
def test_an_untouched_statement_is_genuine(count: int) -> None:
    document = a_statement(count)
    for given in (document, json.dumps(document).encode(), without_proofs(document)):
        verdict = verify_statement(given, TRUSTED, root=document["root"])
        assert verdict.genuine, verdict
        assert (verdict.license_id, verdict.period, verdict.count) == ("lic_1", "2026-10", count)
    asked = [finding.check for finding in verify_statement(document, TRUSTED).findings]
    assert asked == [check for check in Check if check is not Check.INVOICE]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("license", "lic_2"),
        ("period", "2026-11"),
        ("issued_at", "2026-12-02T03:00:00+00:00"),
        ("count", 6),
        ("totals", {"calls": 7, "rows": 21, "bytes": 63, "amount_fen": 15}),
        ("root", "0" * 64),
    ],
)
def test_nothing_in_the_header_can_be_rewritten(name: str, value: Any) -> None:
    good = a_statement(7)
    assert good[name] != value
    for root in (None, good["root"]):
        verdict = verify_statement(good | {name: value}, TRUSTED, root=root)
        assert Check.SIGNATURE in verdict.failed


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        ({"count": 6}, Check.COUNT),
        ({"totals": {"calls": 7, "rows": 21, "bytes": 63, "amount_fen": 15}}, Check.TOTALS),
        ({"root": "0" * 64}, Check.ROOT),
    ],
)
def test_a_signature_does_not_make_a_wrong_sum_right(wrong: dict[str, Any], check: Check) -> None:
    good = without_proofs(a_statement(7)) | wrong
    header = {name: value for name, value in good.items() if name not in {"events", "signature"}}
    document = good | {"signature": sign_detached(header, KIND, KEY)}
    assert verify_statement(document, TRUSTED).failed == [check]


def test_what_somebody_made_up_is_not_believed() -> None:
    """Consistent in itself, signed even, only not by a key one trusts."""
    good = a_statement(5)
    stranger = signed(good | {"kid": key_id(STRANGER)}, STRANGER)
    assert verify_statement(stranger, TRUSTED).failed == [Check.KEY, Check.SIGNATURE]
    borrowed_name = signed(good, OKPKey.import_key(STRANGER.as_dict(private=True) | {"kid": key_id(KEY)}))
    assert verify_statement(borrowed_name, TRUSTED).failed == [Check.SIGNATURE]
    as_something_else = signed(good, KEY, "shugang-certificate+jws")
    assert verify_statement(as_something_else, TRUSTED).failed == [Check.SIGNATURE]
    with_its_own_key = stranger | {"keys": [STRANGER.as_dict(private=False)]}
    assert verify_statement(with_its_own_key, TRUSTED).failed == [Check.FORMAT]
    assert verify_statement(good, {}).failed == [Check.KEY, Check.SIGNATURE]
    assert verify_statement(good | {"signature": ""}, TRUSTED).failed == [Check.SIGNATURE]


def test_a_statement_of_the_format_before_is_refused_with_the_reason() -> None:
    old = {name: a_statement(1)[name] for name in ("count", "totals", "root", "events")}
    (finding,) = verify_statement(old | {"format": "shugang-usage-statement/1"}, TRUSTED).findings
    assert (finding.check, finding.passed) == (Check.FORMAT, False)
    assert finding.note is not None
    assert "unknown format shugang-usage-statement/1: it carried no signature" in finding.note.en
    assert "没有签名" in finding.note.zh
    (other,) = verify_statement({"format": "shugang-usage-statement/3"}, TRUSTED).findings
    assert other.note is not None
    assert other.note.en == "unknown format shugang-usage-statement/3"


@pytest.mark.parametrize("index", [0, 3, 6])
def test_the_altered_line_is_named_even_when_everything_else_is_made_to_fit(index: int) -> None:
    good = a_statement(7)
    bad = copy.deepcopy(good)
    bad["events"][index]["rows"] += 1
    bad["totals"]["rows"] += 1
    verdict = verify_statement(bad, TRUSTED, root=good["root"])
    assert verdict.altered == (f"chg_{index:04d}",)
    note = verdict.findings[1].note
    assert note is not None
    assert note.en == f"altered: chg_{index:04d}"
    bad["root"] = merkle_root([leaf(line) for line in bad["events"]])
    assert verify_statement(bad, TRUSTED, root=good["root"]).altered == (f"chg_{index:04d}",)
    assert not verify_statement(bad, TRUSTED).genuine
    assert Check.INVOICE in verify_statement(signed(bad), TRUSTED, root=good["root"]).failed


def test_a_long_statement_without_proofs_is_bound_by_its_root() -> None:
    good = without_proofs(a_statement(9))
    for name in SUMMED:
        bad = copy.deepcopy(good)
        bad["events"][4][name] += 1
        bad["totals"][name] += 1
        assert verify_statement(bad, TRUSTED).failed == [Check.ROOT, Check.SIGNATURE]
    swapped = copy.deepcopy(good)
    swapped["events"][1:3] = swapped["events"][2:0:-1]
    assert verify_statement(swapped, TRUSTED).failed == [Check.ORDER, Check.ROOT]


@pytest.mark.parametrize("proof", [["zz"], [1], "0" * 64, [None], [], None, 7])
def test_a_damaged_proof_is_no_crash(proof: Any) -> None:
    document = a_statement(5)
    document["events"][2]["proof"] = proof
    assert verify_statement(document, TRUSTED).altered == ("chg_0002",)
    for line in document["events"]:
        line["proof"] = proof  # what is not signed must not stand in a genuine file
    assert verify_statement(document, TRUSTED).failed == [Check.LINES]


def test_a_line_left_out_or_added_is_noticed() -> None:
    good = a_statement(6)
    for root in (None, good["root"]):
        short = good | {"events": good["events"][:-1], "count": 5}
        assert Check.ROOT in verify_statement(short, TRUSTED, root=root).failed
        longer = good | {"events": [*good["events"], good["events"][0] | {"charge_id": "chg_9999"}]}
        assert Check.COUNT in verify_statement(longer, TRUSTED, root=root).failed
    twice = good | {"events": [*good["events"], good["events"][-1]]}
    assert Check.ORDER in verify_statement(twice, TRUSTED).failed
    assert Check.INVOICE in verify_statement(good, TRUSTED, root="0" * 64).failed


def test_rubbish_is_refused_without_an_exception() -> None:
    good = a_statement(2)
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for rubbish in (
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        None,
        "[" * 100_000,
        {"format": FORMAT},
        good | {"events": ["x"]},
        good | {"events": [{}]},
        good | {"events": [good["events"][0] | {"rows": None}]},
        good | {"events": [good["events"][0] | {"rows": deep}]},
        good | {"count": "2"},
        json.dumps(good).replace('"period":', '"period": "2026-09", "period":', 1),
    ):
        assert verify_statement(rubbish, TRUSTED).failed == [Check.FORMAT]


# ------------------------------------------------------------------ as it is issued

PERIOD = "2026-10"


def planted(store: Store, count: int, license_id: str = "lic_1") -> None:
    """So many events of a license in one month, in the books as rows."""
    row = {
        "license_id": license_id, "product_id": "prd_1", "credential_id": "cli_1", "purpose": "自用",
        "kind": Kind.ROWS, "calls": 1, "rows": 3, "bytes": 9, "amount_fen": 2, "fingerprint": b"f",
        "period": PERIOD, "at": datetime(2026, 10, 5, 1, 2, 3, tzinfo=UTC),
    }  # fmt: skip
    with store.unit("system:test") as unit:
        rows = [row | {"id": number.to_bytes(16, "big")} for number in range(count)]
        unit.session.execute(sa.insert(UsageEvent), rows)
        unit.record("usage.planted", f"license:{license_id}")


def issued(store: Store, **options: Any) -> dict[str, Any]:
    with store.snapshot() as view:
        statement = issue_statement(view, "lic_1", PERIOD, key=KEY, zone="Asia/Shanghai", **options)
    raw = b"".join(statement.parts())
    assert len(raw) == statement.size
    statement.close()
    assert verify_statement(raw, TRUSTED).genuine
    document: dict[str, Any] = json.loads(raw)
    assert next(iter(document)) == "format"
    return document


def test_the_longest_statement_with_proofs_and_the_shortest_without(store: Store, tmp_path: Path) -> None:
    planted(store, 5)
    with_proofs = issued(store, proved=5)
    assert all("proof" in line for line in with_proofs["events"])
    without = issued(store, proved=4, folder=tmp_path)
    assert not any("proof" in line for line in without["events"])
    assert without["root"] == with_proofs["root"]
    assert without["totals"] == {"calls": 5, "rows": 15, "bytes": 45, "amount_fen": 10}


def test_a_month_without_use_has_a_statement_too(store: Store) -> None:
    document = issued(store)
    assert (document["count"], document["events"], document["root"]) == (0, [], EMPTY)


@pytest.fixture
def loaded() -> Iterator[list[UsageEvent]]:
    """The events that became objects."""
    rows: list[UsageEvent] = []

    def seen(row: UsageEvent, _context: Any) -> None:
        rows.append(row)

    sa.event.listen(UsageEvent, "load", seen)
    yield rows
    sa.event.remove(UsageEvent, "load", seen)


def test_a_long_month_is_never_in_memory(store: Store, loaded: list[UsageEvent]) -> None:
    planted(store, 5 * queries.PORTION)

    def root() -> str:
        with store.snapshot() as view:
            return counted_period(view, "lic_1", PERIOD).root

    def whole() -> str:
        with store.snapshot() as view:
            statement = issue_statement(view, "lic_1", PERIOD, key=KEY, zone="Asia/Shanghai", proved=100)
        statement.close()
        return str(statement.header["root"])

    roots = {root(), whole()}  # what is loaded once stays: templates, compiled statements
    for read in (root, whole):
        tracemalloc.start()
        roots.add(read())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        print(read.__name__, most)
        assert most < 6 << 20
    assert len(roots) == 1
    assert loaded == []


def test_what_was_counted_before_holds_until_an_event_enters(
    store: Store, till: Till, licensed: Callable[..., Any]
) -> None:
    credential = licensed("lic_1", "lic_2", policy=SomePolicy(price=SomePrice(call_fen=2)))
    period = clock.period_of(clock.now(), "Asia/Shanghai")

    def charge(license_id: str) -> None:
        key = new_charge_key()
        args = ("prd_1", credential.id, "", "internal_business", Kind.ROWS, key, b"f", 1, 3, 9)
        till.charge(Charge(license_id, *args))

    charge("lic_1")
    charge("lic_2")
    with store.view() as view:
        before = counted_period(view, "lic_1", period)
        other = counted_period(view, "lic_2", period)
    assert before.used == other.used
    with store.view() as view:
        assert counted_period(view, "lic_1", period, before) is before
        # The same sums of another license or month are not the same events.
        assert counted_period(view, "lic_1", period, other).root == before.root != other.root
        assert counted_period(view, "lic_1", "2020-01", before).root == EMPTY
    charge("lic_1")
    with store.view() as view:
        after = counted_period(view, "lic_1", period, before)
        events = list(queries.events_of_period(view, "lic_1", period))
    assert len(events) == 2
    assert after.root != before.root
    with store.view() as view:
        assert after == counted_period(view, "lic_1", period)
