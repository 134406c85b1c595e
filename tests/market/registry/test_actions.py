"""Assets are registered by another organization, once per content, under a number that checks itself."""

import threading

import pytest
from sqlmodel import select

from market.identity.problems import Forbidden, OwnDecision
from market.identity.rules import Actor, OrgKind, Role
from market.policy.inputs import DataGrade
from market.registry import actions, queries
from market.registry.problems import ContentRegistered, FileAttached
from market.registry.rules import AssetState, Description
from market.registry.tables import Asset, AssetFile
from storage.kernel.numbers import has_valid_check
from storage.kernel.problem import Invalid, NotFound, WrongState
from storage.objects import StoredObject
from storage.unit import Store
from tests.market.assets import (
    COMPLETE,
    QUICK,
    described,
    drafted,
    registered,
    reviewed,
    stored,
    submitted,
)
from tests.market.people import AUDITOR, BUYER, OTHER_PROVIDER, PROVIDER, REGISTRAR


def test_an_asset_goes_from_draft_to_a_checked_number(store: Store) -> None:
    asset = registered(store, screened=False)
    assert asset.state is AssetState.REGISTERED
    assert asset.number is not None
    assert asset.number.startswith("SG-370200-R-")
    assert has_valid_check(asset.number)
    second = registered(store, content="other")
    assert second.number is not None
    assert asset.number.split("-")[4] == "000001"
    assert second.number.split("-")[4] == "000002"
    with store.view() as view:
        assert queries.by_number(view, asset.number).id == asset.id
        kinds = [
            entry.kind
            for entry in queries.history(view, PROVIDER, asset.id)
            if entry.kind.startswith("asset.")
        ]
    assert kinds == [
        "asset.drafted",
        "asset.file_attached",
        "asset.evidence_attached",
        "asset.submitted",
        "asset.accepted",
        "asset.review_begun",
        "asset.registered",
    ]


def test_what_was_written_is_what_is_read(store: Store) -> None:
    asset = drafted(store)
    with store.view() as view:
        kept = queries.asset(view, PROVIDER, asset.id)
        assert Description.model_validate(kept) == described()


def test_an_empty_draft_is_told_everything_at_once(store: Store) -> None:
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        asset = actions.draft_asset(unit, PROVIDER, description=Description())
    with pytest.raises(Invalid) as refusal, store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.submit_asset(unit, PROVIDER, asset.id)
    fields = {fault.field for fault in refusal.value.faults}
    assert (set(COMPLETE) - {"coverage_until"}) | {"files", "source_evidence"} <= fields


def test_an_edit_changes_only_what_it_names(store: Store) -> None:
    asset = drafted(store)
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        changed = actions.edit_asset(unit, PROVIDER, asset.id, description=Description(title_en="Visits"))
        assert (changed.title_en, changed.title_zh) == ("Visits", COMPLETE["title_zh"])
        entry = unit.entries[0]
        assert (entry.kind, entry.data) == ("asset.edited", {"fields": ["title_en"]})


def test_a_submitted_asset_cannot_be_edited(store: Store) -> None:
    asset = submitted(store)
    with pytest.raises(WrongState) as refusal, store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.edit_asset(unit, PROVIDER, asset.id, description=Description(title_en="x"))
    assert refusal.value.members["allowed"] == ["accept", "return", "withdraw"]
    with pytest.raises(WrongState), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.attach_file(unit, PROVIDER, asset.id, stored=stored("late"), name="x.csv", format="csv")


def test_a_return_lists_what_is_missing_and_a_resubmission_clears_it(store: Store) -> None:
    asset = submitted(store)
    with pytest.raises(Invalid), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        actions.return_asset(unit, REGISTRAR, asset.id, missing=[], reason="请补正")
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        back = actions.return_asset(
            unit, REGISTRAR, asset.id, missing=[("source_evidence", "授权书缺章")], reason="材料不全"
        )
    assert back.state is AssetState.RETURNED
    assert back.missing == [{"field": "source_evidence", "note": "授权书缺章"}]
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        again = actions.submit_asset(unit, PROVIDER, asset.id)
    assert (again.state, again.missing) == (AssetState.SUBMITTED, [])


def test_the_registrar_never_examines_its_own(store: Store) -> None:
    both = Actor(
        "usr_both",
        REGISTRAR.org,
        frozenset({Role.PROVIDER, Role.REGISTRAR}),
        OrgKind.REGISTRAR,
    )
    asset = submitted(store, actor=both)
    for examiner in (REGISTRAR, both):
        with pytest.raises(OwnDecision), store.unit(examiner.id, examiner.org) as unit:
            actions.accept_asset(unit, examiner, asset.id)
    moved = Actor(both.id, "pty_elsewhere", frozenset({Role.REGISTRAR}), OrgKind.REGISTRAR)
    with pytest.raises(OwnDecision), store.unit(moved.id, moved.org) as unit:
        actions.accept_asset(unit, moved, asset.id)


def test_the_wrong_role_is_refused_and_a_foreign_asset_is_not_there(store: Store) -> None:
    asset = drafted(store)
    with pytest.raises(Forbidden), store.unit(BUYER.id, BUYER.org) as unit:
        actions.draft_asset(unit, BUYER, description=Description())
    with pytest.raises(Forbidden), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.accept_asset(unit, PROVIDER, asset.id)
    for stranger in (OTHER_PROVIDER, BUYER, REGISTRAR, None):
        with pytest.raises(NotFound), store.view() as view:
            queries.asset(view, stranger, asset.id)
    with pytest.raises(NotFound), store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        actions.submit_asset(unit, OTHER_PROVIDER, asset.id)
    with pytest.raises(NotFound), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        actions.accept_asset(unit, REGISTRAR, asset.id)  # a draft is not on the desk
    with store.view() as view:
        assert queries.asset(view, AUDITOR, asset.id).id == asset.id
        assert queries.assets(view, OTHER_PROVIDER) == []
        assert queries.assets(view, None) == []


def test_everybody_reads_the_public_face_and_only_those_concerned_the_rest(store: Store) -> None:
    asset = registered(store)
    with store.view() as view:
        face = queries.public_face(queries.asset(view, None, asset.id))
        assert face["number"] == asset.number
        assert not {"source_statement", "source_evidence", "rights", "created_by"} & set(face)
        assert [found.id for found in queries.assets(view, BUYER)] == [asset.id]
        for reader in (PROVIDER, REGISTRAR, AUDITOR):
            assert len(queries.files(view, reader, asset.id)) == 1
        with pytest.raises(NotFound):
            queries.files(view, BUYER, asset.id)
        with pytest.raises(NotFound):
            queries.history(view, BUYER, asset.id)


def test_registered_content_is_registered_once(store: Store) -> None:
    waiting = submitted(store, actor=OTHER_PROVIDER)
    first = registered(store)
    late = drafted(store, actor=OTHER_PROVIDER)
    with pytest.raises(ContentRegistered) as refusal, store.unit("usr_other", "pty_dealer") as unit:
        actions.submit_asset(unit, OTHER_PROVIDER, late.id)
    assert refusal.value.members["number"] == first.number
    with pytest.raises(ContentRegistered), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        reviewed(unit, waiting.id)
        actions.register_asset(unit, REGISTRAR, waiting.id, reason="材料齐全", office=QUICK)


def test_two_registrations_of_one_content_at_once_let_one_through(store: Store) -> None:
    registered(store, content="before")  # so that the number's sequence exists
    ids = [submitted(store, actor=actor).id for actor in (PROVIDER, OTHER_PROVIDER)]
    for asset_id in ids:
        with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
            reviewed(unit, asset_id)
    outcomes: list[str] = []
    gate = threading.Barrier(2)

    def register(asset_id: str) -> None:
        gate.wait()
        try:
            with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
                actions.register_asset(unit, REGISTRAR, asset_id, reason="材料齐全", office=QUICK)
            outcomes.append("registered")
        except ContentRegistered:
            outcomes.append("refused")

    threads = [threading.Thread(target=register, args=(asset_id,)) for asset_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "registered"]


def test_core_data_is_never_registered(store: Store) -> None:
    asset = drafted(store, grade=DataGrade.CORE)
    with pytest.raises(Invalid) as refusal, store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.submit_asset(unit, PROVIDER, asset.id)
    assert [fault.rule for fault in refusal.value.faults] == ["T01"]
    waiting = submitted(store, content="x")
    with pytest.raises(Invalid), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        reviewed(unit, waiting.id)
        row = unit.session.get(Asset, waiting.id)
        assert row is not None
        row.grade = DataGrade.CORE
        actions.register_asset(unit, REGISTRAR, waiting.id, reason="材料齐全", office=QUICK)


def test_files_come_and_go_while_it_is_a_draft(store: Store) -> None:
    asset = drafted(store)
    with pytest.raises(FileAttached), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.attach_file(
            unit, PROVIDER, asset.id, stored=stored("a,b\n1,2\n"), name="again.csv", format="csv"
        )
    for name in ("../x.csv", "", "a\0b", "x\n.csv"):
        with pytest.raises(Invalid), store.unit(PROVIDER.id, PROVIDER.org) as unit:
            actions.attach_file(unit, PROVIDER, asset.id, stored=stored("y"), name=name, format="csv")
    with store.view() as view:
        file = queries.files(view, PROVIDER, asset.id)[0]
        assert view.session.get(StoredObject, file.sha256) is not None
    with pytest.raises(NotFound), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.detach_file(unit, PROVIDER, asset.id, "fil_none")
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.detach_file(unit, PROVIDER, asset.id, file.id)
    with store.view() as view:
        assert view.session.exec(select(AssetFile)).all() == []


def test_rejection_and_withdrawal_end_it(store: Store) -> None:
    asset = submitted(store)
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        reviewed(unit, asset.id)
        with pytest.raises(Invalid):
            actions.reject_asset(unit, REGISTRAR, asset.id, reason=" no ")
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        assert actions.reject_asset(unit, REGISTRAR, asset.id, reason="权属存在争议").reason == "权属存在争议"
    with pytest.raises(WrongState), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.withdraw_asset(unit, PROVIDER, asset.id)
    other = submitted(store, content="z")
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.withdraw_asset(unit, PROVIDER, other.id)
    with pytest.raises(NotFound), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        actions.accept_asset(unit, REGISTRAR, other.id)


def test_the_desk_shows_the_longest_waiting_first(store: Store) -> None:
    first, second = submitted(store), submitted(store, content="second")
    drafted(store, content="third")
    with store.view() as view:
        assert [asset.id for asset in queries.review_queue(view, REGISTRAR)] == [first.id, second.id]
        with pytest.raises(Forbidden):
            queries.review_queue(view, PROVIDER)


def test_a_wrong_check_character_is_told_before_any_lookup(store: Store) -> None:
    number = registered(store).number or ""
    wrong = number[:-1] + ("A" if number[-1] != "A" else "B")
    with store.view() as view:
        for text in (wrong, "", "SG-370200-R-2026-000001", "' OR 1=1 --"):
            with pytest.raises(Invalid):
                queries.by_number(view, text)
