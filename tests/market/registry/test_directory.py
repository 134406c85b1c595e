"""A directory comes in by file: every row judged alone, the same file twice changes nothing, totals add up."""

import csv
import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from market.identity.problems import Forbidden
from market.identity.rules import Actor, OrgKind, Role
from market.policy.inputs import OpenAttr
from market.registry import ending, inventory
from market.registry.directory import ImportReport, Outcome, import_directory, imports
from market.registry.directory_files import rows_of
from market.registry.directory_rows import read_row
from market.registry.inventory import is_stale, rate_bp, stale_assets
from market.registry.rules import UpdateCycle
from market.registry.tables import DirectoryEntry, DirectoryImport
from storage.kernel import clock
from storage.kernel.numbers import make_uscc
from storage.kernel.problem import Invalid
from storage.unit import Store
from tests.market.assets import COMPLETE, registered
from tests.market.people import BUYER, DEPARTMENT, REGISTRAR
from tests.market.products import seated

HEAD = [
    "信息资源代码*",
    "信息资源名称*",
    "提供方*",
    "提供方代码*",
    "共享类型*",
    "共享条件",
    "是否向社会开放*",
    "开放条件",
    "所属系统",
    "数据规模",
    "信息项",
    "备注",
]


def uscc(number: int) -> str:
    return make_uscc(f"11370200MB{number:07d}")


def line(number: int = 1, department: int = 1, **changes: str) -> list[str]:
    cells = {
        "信息资源代码*": f"3702-{number:05d}",
        "信息资源名称*": f"资源{number}",
        "提供方*": f"第{department}局",
        "提供方代码*": uscc(department),
        "共享类型*": "无条件共享",
        "共享条件": "",
        "是否向社会开放*": "是",
        "开放条件": "",
        "所属系统": f"系统{department}",
        "数据规模": "100",
        "信息项": "编号；名称",
        "备注": "不认识的列",
    } | {f"{name}*" if f"{name}*" in HEAD else name: value for name, value in changes.items()}
    return [cells[name] for name in HEAD]


def written(tmp_path: Path, *lines: list[str], encoding: str = "utf-8") -> Path:
    path = tmp_path / f"directory-{encoding}.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([HEAD, *lines])
    return path


def bring(store: Store, path: Path, actor: Actor = REGISTRAR) -> ImportReport:
    return import_directory(store, actor, rows_of(path), name=path.name, sha256="0" * 64)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_every_encoding_of_the_trade_is_read(store: Store, tmp_path: Path, encoding: str) -> None:
    report = bring(store, written(tmp_path, line(1), line(2), encoding=encoding))
    assert report.counts() == {"rows": 2, "created": 2, "updated": 0, "unchanged": 0, "refused": 0}
    with store.view() as view:
        [(entry, registered_), _other], total = inventory.entries(view)
    assert (entry.title_zh, entry.items, entry.scale, registered_, total) == (
        "资源1",
        ["编号", "名称"],
        100,
        False,
        2,
    )


def test_the_same_again_is_unchanged_and_a_new_word_is_an_update(store: Store, tmp_path: Path) -> None:
    bring(store, written(tmp_path, line(1), line(2)))
    again = bring(store, written(tmp_path, line(1), line(2)))
    assert again.counts()["unchanged"] == 2
    other = bring(store, written(tmp_path, line(1, 信息资源名称="改名"), line(2)))
    assert [row.outcome for row in other.rows] == [Outcome.UPDATED, Outcome.UNCHANGED]
    same_code = bring(store, written(tmp_path, line(1, department=2)))
    assert same_code.counts()["created"] == 1, "another department's code is another resource"
    twice = bring(
        store,
        written(tmp_path, line(9), line(9, 信息资源名称="后一行为准"), line(9, 信息资源名称="后一行为准")),
    )
    assert [str(row.outcome) for row in twice.rows] == ["created", "updated", "unchanged"]
    with store.view() as view:
        assert {entry.title_zh for entry, _ in inventory.entries(view, text="后一行")[0]} == {"后一行为准"}


BAD = [
    ({"提供方代码": "11370200MB0000001X"}, "provider_code", "party.uscc_check"),
    ({"提供方代码": "12"}, "provider_code", "string_too_short"),
    ({"信息资源代码": ""}, "code", "string_too_short"),
    ({"信息资源名称": "名" * 201}, "title_zh", "string_too_long"),
    ({"共享类型": "看情况"}, "share_type", "enum"),
    ({"共享类型": "有条件共享"}, "share_condition", "share.condition"),
    ({"共享类型": "不予共享", "共享条件": "不方便"}, "share_condition", "share.law"),
    ({"是否向社会开放": "否"}, "open_condition", "open.reason"),
    ({"数据规模": "很多"}, "scale", "int_parsing"),
    ({"数据规模": "-1"}, "scale", "greater_than_equal"),
]


def test_one_bad_row_never_loses_the_others(store: Store, tmp_path: Path) -> None:
    lines = [line(number, 1, **changes) for number, (changes, _field, _rule) in enumerate(BAD, 100)]
    good = [line(number) for number in range(1, 6)]
    report = bring(store, written(tmp_path, *good[:2], *lines, ["只有一列"], *good[2:]))
    assert (report.count(Outcome.CREATED), report.count(Outcome.REFUSED)) == (5, len(BAD) + 1)
    told = {row.row: row.errors for row in report.refused}
    for number, (_changes, field, rule) in enumerate(BAD, 4):
        assert (field, rule) in {(error["field"], error["rule"]) for error in told[number]}, (number, told)
        assert all(error["message"]["zh"] and error["message"]["en"] for error in told[number])
    with store.view() as view:
        [kept] = imports(view, REGISTRAR)
    assert (kept.refused, len(kept.refusals), kept.ended_at is not None) == (11, 11, True)


def test_json_in_every_shape_is_read_and_judged_alone(store: Store, tmp_path: Path) -> None:
    base: dict[str, Any] = {
        "code": "j-1", "title": "停车", "provider_name": "交通局", "provider_code": uscc(7), "share_type": 1, "open_attr": "U",
        "items": [{"name": "id"}, "名称"], "scale": 5, "published_on": "2026年3月1日",
    }  # fmt: skip
    objects = [
        base,
        base | {"code": "j-2", "open_attr": "N", "open_condition": "涉密"},
        7,
        base | {"code": "\0"},
    ]
    for number, text in enumerate(
        (
            json.dumps(objects, ensure_ascii=False),
            json.dumps({"entries": objects}),
            "\n".join(json.dumps(each) for each in objects) + "\n{broken\n",
        )
    ):
        path = tmp_path / f"{number}.json"
        path.write_text(text, encoding="utf-8")
        report = bring(store, path)
        assert report.count(Outcome.REFUSED) == (3 if number == 2 else 2)
        assert report.count(Outcome.CREATED) == (2 if number == 0 else 0)
    with store.view() as view:
        entry = inventory.entries(view, text="停车")[0][0][0]
    assert (entry.items, str(entry.published_on), entry.scale) == (["id", "名称"], "2026-03-01", 5)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "file.empty"),
        (b"  \n", "file.empty"),
        (b"a,b\n1,2\n", "file.columns"),
        (b"\x00\x01\x02", "file.encoding"),
        (b"\xff\xfe\x00a", "file.encoding"),
        (b"[]", "file.json"),
        (b"{nope", "file.json"),
        (b"[" * 200_000, "file.json"),
    ],
)
def test_what_is_no_directory_is_told(tmp_path: Path, content: bytes, rule: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(Invalid) as refusal:
        list(rows_of(path))
    assert [fault.rule for fault in refusal.value.faults] == [rule]


@given(
    st.dictionaries(
        st.sampled_from(
            ["code", "title_zh", "scale", "items", "share_type", "published_on", "provider_code"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
        ),
    )
)
def test_whatever_a_row_holds_it_is_judged_never_raised(fields: dict[str, Any]) -> None:
    row, faults = read_row(fields)
    assert row is None
    assert faults


def test_a_department_brings_in_its_own_only(store: Store, tmp_path: Path) -> None:
    seated(store, DEPARTMENT)
    own = make_uscc(f"91370200MA3C{sum(DEPARTMENT.own_org.encode()):05d}")
    path = written(tmp_path, line(1, 提供方代码=own), line(2))
    report = bring(store, path, DEPARTMENT)
    assert [str(row.outcome) for row in report.rows] == ["created", "refused"]
    assert report.rows[1].errors[0]["rule"] == "directory.own"
    with pytest.raises(Forbidden):
        bring(store, path, BUYER)
    stranger = Actor("usr_s", "pty_s", frozenset({Role.PROVIDER}), OrgKind.DEPARTMENT)
    with pytest.raises(Forbidden):
        bring(store, path, stranger)
    with store.view() as view:
        assert len(imports(view, DEPARTMENT)) == 1
        assert len(imports(view, REGISTRAR)) == 1
        assert imports(view, stranger) == []


def test_a_killed_import_has_kept_whole_batches_and_running_it_again_finishes(
    store: Store, tmp_path: Path
) -> None:
    path = written(tmp_path, *[line(number) for number in range(2500)])

    def dying(done: int) -> None:
        if done >= 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_directory(store, REGISTRAR, rows_of(path), name="x", sha256="0" * 64, step=dying)
    with store.view() as view:
        assert inventory.entries(view)[1] == 1000
        [begun] = imports(view, REGISTRAR)
        assert begun.ended_at is None
    report = bring(store, path)
    assert report.counts() == {"rows": 2500, "created": 1500, "updated": 0, "unchanged": 1000, "refused": 0}


def test_two_imports_of_one_file_at_once_leave_one_of_each(store: Store, tmp_path: Path) -> None:
    path = written(tmp_path, *[line(number) for number in range(300)])
    gate = threading.Barrier(2)
    failed: list[BaseException] = []

    def run() -> None:
        gate.wait()
        try:
            bring(store, path)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with store.view() as view:
        assert inventory.entries(view)[1] == 300


def test_the_tree_adds_up_and_the_report_equals_the_register(store: Store, tmp_path: Path) -> None:
    lines = [line(number, department=number % 3 + 1, 所属系统=f"系统{number % 5}") for number in range(30)]
    lines += [line(99, department=4, 是否向社会开放="否", 开放条件="涉及国家秘密", 所属系统="", 数据规模="")]
    bring(store, written(tmp_path, *lines))
    asset = registered(store)  # another department's, registered without an import
    with store.view() as view:
        figures, tree = inventory.figures(view, clock.now()), inventory.tree(view)
        closed = inventory.entries(view, open_attr=OpenAttr.CLOSED)[0]
        listed = inventory.entries(view, registered=True)
    document = figures.document()
    assert (figures.departments, figures.resources, figures.registered, figures.registrations) == (
        5,
        32,
        1,
        1,
    )
    assert document["unregistered"] == 31
    assert sum(unit["resources"] for unit in tree) == figures.resources
    assert sum(unit["registered"] for unit in tree) == figures.registered
    assert sum(unit["open"] for unit in tree) == figures.open == 31
    for unit in tree:
        assert sum(system["resources"] for system in unit["systems"]) == unit["resources"]
    assert figures.systems == sum(bool(system["system"]) for unit in tree for system in unit["systems"])
    assert (figures.sized, figures.owned) == (30, 31)
    assert (document["open_rate_bp"], document["coverage_bp"]) == (9687, 8000)
    assert [(entry.open_condition, known) for entry, known in closed] == [("涉及国家秘密", False)]
    assert [entry.code for entry, _ in listed[0]] == [COMPLETE["code"]]
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit_:
        ending.revoke_asset(unit_, REGISTRAR, asset.id, reason="提供虚假来源证明")
    with store.view() as view:
        assert inventory.figures(view, clock.now()).registered == 0


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_rate_is_a_share(part: int, more: int) -> None:
    assert 0 <= rate_bp(part, part + more) <= 10_000
    assert rate_bp(part, part) == (10_000 if part else 0)


def test_data_older_than_its_cycle_is_flagged(store: Store) -> None:
    asset = registered(store, update_cycle=UpdateCycle.MONTHLY)
    assert asset.refreshed_at is not None
    for days, late in ((0, False), (32, False), (33, True)):
        moment = asset.refreshed_at + timedelta(days=days)
        assert is_stale(asset.update_cycle, asset.refreshed_at, moment) is late
        with store.view() as view:
            assert (stale_assets(view, moment) == [asset.id]) is late
            assert inventory.figures(view, moment).stale == int(late)
    assert not is_stale(UpdateCycle.IRREGULAR, asset.refreshed_at, asset.refreshed_at + timedelta(days=9999))


def test_the_trade_names_of_openness_are_read() -> None:
    fields = dict(
        zip(
            ("code", "title_zh", "provider_name", "provider_code", "share_type"),
            ("c", "名称", "某局", uscc(1), "1"),
            strict=True,
        )
    )
    for said, meant in (
        ("是", OpenAttr.UNCONDITIONAL),
        ("有条件开放", OpenAttr.CONDITIONAL),
        ("no", OpenAttr.CLOSED),
    ):
        row, faults = read_row(fields | {"open_attr": said, "open_condition": "依法"})
        assert row is not None, faults
        assert row.open_attr is meant


def test_an_import_is_one_row_of_its_own(store: Store, tmp_path: Path) -> None:
    report = bring(store, written(tmp_path, line(1)))
    with store.view() as view:
        kept = view.session.get_one(DirectoryImport, report.id)
        assert (kept.rows, kept.created) == (1, 1)
        assert view.session.exec(select(DirectoryEntry)).one().provider_code == uscc(1)
