"""Statements offline: each line leads to the root by its proof, and what was altered is named."""

import copy
from typing import Any

import pytest

from metering.merkle import merkle_root, proofs, root_by_proof
from metering.statements import FORMAT, leaf, verify_statement

SUMMED = ("calls", "rows", "bytes", "amount_fen")


def a_statement(count: int) -> dict[str, Any]:
    lines: list[dict[str, Any]] = [
        {"charge_id": f"chg_{n:04d}", "calls": 1, "rows": n, "bytes": 9, "amount_fen": 2}
        for n in range(count)
    ]
    leaves = [leaf(line) for line in lines]
    for line, path in zip(lines, proofs(leaves), strict=True):
        line["proof"] = path
    totals = {name: sum(line[name] for line in lines) for name in SUMMED}
    return {
        "format": FORMAT, "count": count, "totals": totals, "root": merkle_root(leaves), "events": lines,
    }  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 31, 32, 33, 100])
def test_every_line_leads_to_the_root(count: int) -> None:
    document = a_statement(count)
    assert verify_statement(document, root=document["root"]).ok
    for index, line in enumerate(document["events"]):
        assert root_by_proof(leaf(line), index, count, line["proof"]) == document["root"]
        with pytest.raises(ValueError, match="long"):
            root_by_proof(leaf(line), index, count, [*line["proof"], "00"])


@pytest.mark.parametrize("index", [0, 3, 6])
def test_the_altered_line_is_named_even_when_everything_else_is_made_to_fit(index: int) -> None:
    good = a_statement(7)
    bad = copy.deepcopy(good)
    bad["events"][index]["rows"] += 1
    bad["totals"]["rows"] += 1
    verdict = verify_statement(bad, root=good["root"])
    assert verdict.altered == (f"chg_{index:04d}",)
    assert verdict.reason == f"altered: chg_{index:04d}"
    bad["root"] = merkle_root([leaf(line) for line in bad["events"]])
    assert verify_statement(bad, root=good["root"]).altered == (f"chg_{index:04d}",)
    assert not verify_statement(bad).ok


@pytest.mark.parametrize("proof", [["zz"], [1], "0" * 64, [None], []])
def test_a_damaged_proof_is_no_crash(proof: Any) -> None:
    document = a_statement(5)
    document["events"][2]["proof"] = proof
    verdict = verify_statement(document)
    assert not verdict.ok
    assert "chg_0002" in str(verdict.reason) or "not a statement" in str(verdict.reason)


def test_a_line_left_out_or_added_is_noticed() -> None:
    good = a_statement(6)
    short = good | {"events": good["events"][:-1], "count": 5}
    assert not verify_statement(short, root=good["root"]).ok
    longer = good | {"events": [*good["events"], good["events"][0] | {"charge_id": "chg_9999"}], "count": 7}
    assert not verify_statement(longer, root=good["root"]).ok
    assert not verify_statement(good, root="0" * 64).ok
