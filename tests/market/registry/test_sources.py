"""One source per datum: three roles named, never two at once; likeness told; sources compared by key."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from market.identity.problems import Forbidden
from market.policy.inputs import DataGrade
from market.registry import actions, ending, queries, sources
from market.registry.likeness import pairs_of, percent_alike
from market.registry.problems import ItemExists, SourceExists, SourceTaken
from market.registry.rules import Item
from market.registry.settings import RegistrySettings
from market.registry.tables import ItemSource
from storage.kernel.problem import Invalid, NotFound
from storage.tabular.comparing import compare_apart
from storage.tabular.kinds import Limits
from storage.tabular.problems import UnreadableFile
from storage.unit import Store
from tests.market.assets import drafted, registered
from tests.market.people import AUDITOR, BUYER, OTHER_PROVIDER, PROVIDER, REGISTRAR

ROLES = {"collector": "市公安局", "approver": "市公安局", "provider": "市大数据局"}
REASON = "该来源最为权威"


def item(store: Store, code: str = "resident.name") -> str:
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        return sources.define_item(
            unit, REGISTRAR, code=code, name_zh="居民姓名", name_en="Name of a resident"
        ).id


def source(
    store: Store, item_id: str, actor: Any, content: str, roles: dict[str, str] | None = None
) -> ItemSource:
    asset = registered(store, actor, content=content)
    with store.unit(actor.id, actor.org) as unit:
        return sources.name_source(
            unit, actor, item_id, asset_id=asset.id, field="lot_id", roles=ROLES if roles is None else roles
        )


def claim(store: Store, source_id: str) -> ItemSource:
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        return sources.claim_authority(unit, REGISTRAR, source_id, reason=REASON)


def test_the_second_authoritative_source_is_refused_until_the_first_ends(store: Store) -> None:
    name = item(store)
    first, second = source(store, name, PROVIDER, "one"), source(store, name, OTHER_PROVIDER, "two")
    assert claim(store, first.id).authoritative
    with pytest.raises(SourceTaken) as refusal:
        claim(store, second.id)
    assert refusal.value.status == 409
    assert refusal.value.members["asset"] == first.asset_id
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        sources.end_authority(unit, REGISTRAR, first.id, reason=REASON)
    assert claim(store, second.id).authoritative
    with store.view() as view:
        assert [held.authoritative for held, _asset in sources.item(view, name)[1]] == [True, False]


@pytest.mark.parametrize("lacking", sorted(ROLES))
def test_without_all_three_roles_nothing_is_authoritative(store: Store, lacking: str) -> None:
    held = source(store, item(store), PROVIDER, "one", {k: v for k, v in ROLES.items() if k != lacking})
    with pytest.raises(Invalid) as refusal:
        claim(store, held.id)
    assert [fault.field for fault in refusal.value.faults] == [lacking]
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        sources.set_roles(unit, PROVIDER, held.id, roles={lacking: "市人社局"})
    claim(store, held.id)
    with pytest.raises(Invalid), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        sources.set_roles(unit, PROVIDER, held.id, roles={lacking: " "})


def test_two_claims_at_once_let_one_through(store: Store) -> None:
    name = item(store)
    ids = [
        source(store, name, actor, content).id for actor, content in ((PROVIDER, "1"), (OTHER_PROVIDER, "2"))
    ]
    outcomes: list[str] = []
    gate = threading.Barrier(2)

    def run(source_id: str) -> None:
        gate.wait()
        try:
            claim(store, source_id)
            outcomes.append("claimed")
        except SourceTaken:
            outcomes.append("refused")

    threads = [threading.Thread(target=run, args=(source_id,)) for source_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["claimed", "refused"]


def test_the_database_itself_knows_one_source_and_three_roles(store: Store) -> None:
    name = item(store)
    first, second = source(store, name, PROVIDER, "one"), source(store, name, OTHER_PROVIDER, "two")
    claim(store, first.id)
    for change in ({"authoritative": True}, {"authoritative": True, "collector": ""}):
        with pytest.raises(IntegrityError), store.unit("system:test") as unit:
            row = unit.session.get_one(ItemSource, second.id)
            for column, value in change.items():
                setattr(row, column, value)
            unit.record("row.forced", "item:x")


def test_a_registration_that_ends_frees_its_items(store: Store) -> None:
    name = item(store)
    first, second = source(store, name, PROVIDER, "one"), source(store, name, OTHER_PROVIDER, "two")
    claim(store, first.id)
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        ending.revoke_asset(unit, REGISTRAR, first.asset_id, reason="提供虚假来源证明")
    with pytest.raises(Invalid):
        claim(store, first.id)
    assert claim(store, second.id).authoritative


def test_what_is_refused_about_items_and_sources(store: Store) -> None:
    name = item(store)
    with pytest.raises(ItemExists):
        item(store)
    for code in ("", "A", "9x", "a b", "a" * 65):
        with pytest.raises(Invalid):
            item(store, code)
    held = source(store, name, PROVIDER, "one")
    draft = drafted(store, content="draft")
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        for asset_id, field, problem in (
            (held.asset_id, "lot_id", SourceExists),
            (held.asset_id, "other", Invalid),
            (draft.id, "lot_id", Invalid),
            ("ast_none", "lot_id", NotFound),
        ):
            if problem is SourceExists:
                continue
            with pytest.raises(problem):
                sources.name_source(unit, PROVIDER, name, asset_id=asset_id, field=field, roles=ROLES)
        unit.record("test.looked", "item:x")
    with pytest.raises(SourceExists), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        sources.name_source(unit, PROVIDER, name, asset_id=held.asset_id, field="lot_id", roles=ROLES)
    with pytest.raises(Forbidden), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        sources.claim_authority(unit, PROVIDER, held.id, reason=REASON)
    with pytest.raises(NotFound), store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        sources.set_roles(unit, OTHER_PROVIDER, held.id, roles=ROLES)


# ------------------------------------------------------------------ likeness


def test_a_likely_duplicate_is_told_with_a_link_and_not_refused(store: Store) -> None:
    fields = tuple(Item(name=name) for name in ("lot_id", "hour", "visits", "kind", "area"))
    first = registered(store, content="first", items=fields, title_zh="全市公共停车场客流量")
    late = drafted(store, OTHER_PROVIDER, "late", items=fields[:4], title_zh="公共停车场出入车次")
    with store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        done = actions.submit_asset(unit, OTHER_PROVIDER, late.id)
    assert [(like["number"], like["items_percent"]) for like in done.similar] == [(first.number, 80)]
    other = drafted(store, OTHER_PROVIDER, "x", items=(Item(name="beach"),), title_zh="海水浴场水温")
    with store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        assert actions.submit_asset(unit, OTHER_PROVIDER, other.id).similar == []


def test_another_organizations_application_shows_no_name(store: Store) -> None:
    waiting = drafted(store, content="w", title_zh="尚未公开的资源")
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.submit_asset(unit, PROVIDER, waiting.id)
    late = drafted(store, OTHER_PROVIDER, "late", title_zh="尚未公开的资源")
    with store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        [like] = actions.submit_asset(
            unit, OTHER_PROVIDER, late.id, office=RegistrySettings(similar_percent=100)
        ).similar
    assert (like["asset"], like["title"], like["title_percent"]) == (None, None, 100)


def test_likeness_is_the_same_both_ways() -> None:
    one, other = pairs_of("公共停车场客流量"), pairs_of("停车场公共客流")
    assert percent_alike(one, other) == percent_alike(other, one)
    assert percent_alike(one, one) == 100
    assert DataGrade.CORE


# ------------------------------------------------------------------ cross-check


LEFT = "id,name,born\n1,王,1990-01-01\n2,李,1991-02-02\n3,张,1992-03-03\n4,赵,\n4,赵,\n,孙,1990-01-01\n"
RIGHT = "编号,姓名,born\n1,王,1990-01-01\n2,李四,1991-02-02\n3,张,1992-03-04\n5,周,1993-01-01\n"


def compared(tmp_path: Path, left: bytes, right: bytes, **changes: Any) -> dict[str, Any]:
    for name, content in (("left.csv", left), ("right.csv", right)):
        (tmp_path / name).write_bytes(content)
    asked: dict[str, Any] = {
        "key": [("id", "编号")], "fields": [("name", "姓名"), ("born", "born")], "limits": Limits(),
    } | changes  # fmt: skip
    return compare_apart((tmp_path / "left.csv", "甲.csv"), (tmp_path / "right.csv", "乙.csv"), **asked)


def test_sources_are_compared_exactly_and_conflicts_show_both_sides(tmp_path: Path) -> None:
    found = compared(tmp_path, LEFT.encode(), RIGHT.encode("gb18030"))
    assert {key: value for key, value in found.items() if key not in {"fields", "examples"}} == {
        "left_rows": 6,
        "right_rows": 4,
        "left_repeated": 3,  # two of the key 4, one without a key
        "right_repeated": 0,
        "matched": 3,
        "left_only": 0,
        "right_only": 1,
    }
    assert [(field["left"], field["compared"], field["mismatched"]) for field in found["fields"]] == [
        ("name", 3, 1),
        ("born", 3, 1),
    ]
    assert found["examples"] == [
        {"key": ["2"], "field": "name", "left": "李", "right": "李四"},
        {"key": ["3"], "field": "born", "left": "1992-03-03", "right": "1992-03-04"},
    ]


def test_a_column_that_is_not_there_and_a_file_that_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refusal:
        compared(tmp_path, LEFT.encode(), RIGHT.encode(), fields=[('na"me; DROP', "姓名")])
    assert 'na"me; DROP' in refusal.value.faults[0].words.zh
    with pytest.raises(UnreadableFile):
        compared(tmp_path, b"MZ\x90\x00\x01", RIGHT.encode())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["left.csv", "right.csv"], (
        "nothing is left behind"
    )


def test_only_the_keeper_compares_and_the_result_stays_with_those_concerned(store: Store) -> None:
    one, other = registered(store, content="one"), registered(store, OTHER_PROVIDER, content="two")
    with store.view() as view:
        files = [queries.files_of(view, asset.id)[0] for asset in (one, other)]
        with pytest.raises(Forbidden):
            sources.files_to_compare(view, PROVIDER, files[0].id, files[1].id)
        with pytest.raises(Invalid):
            sources.files_to_compare(view, REGISTRAR, files[0].id, files[0].id)
        with pytest.raises(NotFound):
            sources.files_to_compare(view, REGISTRAR, files[0].id, "fil_none")
        left, right = sources.files_to_compare(view, REGISTRAR, files[0].id, files[1].id)
    result = {
        "matched": 1,
        "left_only": 0,
        "right_only": 0,
        "fields": [{"mismatched": 1}],
        "examples": [{"left": "秘密"}],
    }
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        kept = sources.keep_check(unit, REGISTRAR, left=left, right=right, result=result)
        assert "秘密" not in str(unit.entries[0].data), "the journal holds figures, never values"
    with store.view() as view:
        assert sources.check(view, REGISTRAR, kept.id).result == result
        assert sources.check(view, AUDITOR, kept.id).id == kept.id
        for stranger in (PROVIDER, OTHER_PROVIDER, BUYER):
            with pytest.raises(NotFound):
                sources.check(view, stranger, kept.id)
