"""An edit needs two people of two roles; versions follow each other without a gap; history is kept."""

import threading

import pytest
from sqlmodel import select

from market.approvals.problems import AlreadyDecided
from market.identity.problems import Forbidden, OwnDecision
from market.identity.rules import Actor, OrgKind, Role
from market.lists import actions, queries
from market.lists.problems import ListMoved, SecondRoleNeeded
from market.lists.rules import Change, ChangeKind, Condition, EditState, ListKind
from market.lists.tables import ListEntry
from market.trading import holding
from storage.journal import Entry as Written
from storage.kernel import clock
from storage.kernel.problem import Invalid, NotFound, WrongState
from storage.unit import Store
from tests.market.mandates_made import (
    REASON,
    agreement,
    civil,
    entitled,
    negative,
    opened,
    proposed,
    published,
)
from tests.market.people import APPROVER, AUDITOR, BUYER, COMPLIANCE, MANDATOR, PROVIDER

OTHER_BUREAU = Actor(
    "usr_mandator2", "pty_bureau2", frozenset({Role.MANDATOR}), OrgKind.DATA_BUREAU, party_verified=True
)


def decide(store: Store, case_id: str | None, by: Actor, *, approve: bool = True) -> None:
    assert case_id is not None
    with store.unit(by.id, by.org) as unit:
        holding.decide_list_edit(unit, by, case_id, approve=approve, reason=REASON)


def codes(
    store: Store, kind: ListKind = ListKind.NEGATIVE, number: int | None = None
) -> list[tuple[str, int]]:
    with store.view() as view:
        return [(row.code, row.revision) for row in queries.entries(view, kind, number)]


def test_an_approved_edit_is_the_next_version(store: Store) -> None:
    edit = proposed(store, negative(), negative(title_zh="其他"))
    assert codes(store) == []
    decide(store, edit.case_id, COMPLIANCE)
    assert codes(store) == [("FM-0001", 1), ("FM-0002", 1)]
    with store.view() as view:
        [version] = queries.versions(view, ListKind.NEGATIVE)
        assert queries.edit(view, AUDITOR, edit.id).state is EditState.PUBLISHED
        kinds = list(view.session.exec(select(Written.kind).where(Written.subject == "list:negative")))
    assert (version.number, version.entries, len(version.sha256)) == (1, 2, 64)
    assert kinds == ["list.published", "list.swept"]


@pytest.mark.parametrize("actor", [APPROVER, AUDITOR, BUYER, PROVIDER])
def test_only_mandators_and_compliance_edit(store: Store, actor: Actor) -> None:
    with pytest.raises(Forbidden):
        proposed(store, negative(), by=actor)
    edit = proposed(store, negative())
    with pytest.raises(Forbidden):
        decide(store, edit.case_id, actor)


def test_the_second_person_acts_in_another_role_for_another_organization(store: Store) -> None:
    edit = proposed(store, negative())
    with pytest.raises((OwnDecision, SecondRoleNeeded)):
        decide(store, edit.case_id, MANDATOR)
    with pytest.raises(SecondRoleNeeded):
        decide(store, edit.case_id, OTHER_BUREAU)
    decide(store, edit.case_id, COMPLIANCE)
    back = proposed(store, negative(title_zh="由合规提出"), by=COMPLIANCE)
    with pytest.raises((OwnDecision, SecondRoleNeeded)):
        decide(store, back.case_id, COMPLIANCE)
    decide(store, back.case_id, MANDATOR)
    assert len(codes(store)) == 2


def test_an_entry_without_law_and_article_is_refused(store: Store) -> None:
    with pytest.raises(Invalid) as refused:
        proposed(store, negative(), negative(law="", article=""))
    assert {(fault.field, fault.rule) for fault in refused.value.faults} == {
        ("changes.1.entry.law", "legal_basis"),
        ("changes.1.entry.article", "legal_basis"),
    }
    with pytest.raises(Invalid), store.unit(MANDATOR.id, MANDATOR.org) as unit:
        actions.propose_edit(unit, MANDATOR, kind=ListKind.NEGATIVE, changes=[], summary="例行修订")
    with pytest.raises(Invalid), store.unit(MANDATOR.id, MANDATOR.org) as unit:
        one = [Change(kind=ChangeKind.ADD, entry=negative())]
        actions.propose_edit(unit, MANDATOR, kind=ListKind.NEGATIVE, changes=one, summary="")


def test_revisions_removals_and_differences_are_kept(store: Store) -> None:
    published(store, negative(), negative(title_zh="其二"))
    published(
        store,
        Change(kind=ChangeKind.REVISE, code="FM-0001", revision=1, entry=negative(article="第 29 条")),
        Change(kind=ChangeKind.END, code="FM-0002", revision=1),
        negative(title_zh="其三"),
    )
    assert codes(store) == [("FM-0001", 2), ("FM-0003", 1)]
    assert codes(store, number=1) == [("FM-0001", 1), ("FM-0002", 1)]
    with store.view() as view:
        found = queries.difference(view, ListKind.NEGATIVE, 1, 2)
        assert [(str(each.kind), each.code, each.fields) for each in found] == [
            ("revise", "FM-0001", ("article",)),
            ("end", "FM-0002", ()),
            ("add", "FM-0003", ()),
        ]
        assert [each.code for each in queries.difference(view, ListKind.NEGATIVE, 0, 1)] == [
            "FM-0001",
            "FM-0002",
        ]
        assert [row.revision for row in queries.history(view, "FM-0001")] == [1, 2]
        with pytest.raises(NotFound):
            queries.entries(view, ListKind.NEGATIVE, 9)
        with pytest.raises(NotFound):
            queries.history(view, "FM-9999")


def test_the_lists_number_their_versions_apart(store: Store) -> None:
    published(store, negative())
    published(store, opened(), kind=ListKind.OPEN)
    assert codes(store, ListKind.OPEN) == [("KF-0001", 1)]
    with store.view() as view:
        assert queries.newest(view, ListKind.OPEN) == queries.newest(view, ListKind.NEGATIVE) == 1
        assert queries.open_entry(view, "370200-JT-0001") is not None
        assert queries.open_entry(view, "370200-jt-0002") is None
    with pytest.raises(Invalid):  # a code of the other list
        proposed(store, Change(kind=ChangeKind.END, code="KF-0001", revision=1))


def test_an_edit_that_was_overtaken_is_told(store: Store) -> None:
    published(store, negative())
    late = proposed(store, Change(kind=ChangeKind.END, code="FM-0001", revision=1))
    published(
        store, Change(kind=ChangeKind.REVISE, code="FM-0001", revision=1, entry=negative(article="第 29 条"))
    )
    with pytest.raises(ListMoved) as moved:
        decide(store, late.case_id, COMPLIANCE)
    assert moved.value.members["entries"] == {"FM-0001": 2}
    with pytest.raises(ListMoved):
        proposed(store, Change(kind=ChangeKind.END, code="FM-0001", revision=1))
    assert codes(store) == [("FM-0001", 2)]


def test_edits_of_different_entries_both_stand(store: Store) -> None:
    published(store, negative(), negative(title_zh="其二"))
    first = proposed(store, Change(kind=ChangeKind.END, code="FM-0001", revision=1))
    second = proposed(store, Change(kind=ChangeKind.END, code="FM-0002", revision=1))
    decide(store, second.case_id, COMPLIANCE)
    decide(store, first.case_id, COMPLIANCE)
    assert codes(store) == []


def test_two_editors_publish_the_same_entry_at_once_one_is_told(store: Store) -> None:
    published(store, negative())
    edits = [
        proposed(
            store,
            Change(kind=ChangeKind.REVISE, code="FM-0001", revision=1, entry=negative(article=f"第 {n} 条")),
        )
        for n in (1, 2)
    ]
    outcomes: list[str] = []
    gate = threading.Barrier(2)

    def work(case_id: str | None) -> None:
        gate.wait()
        try:
            decide(store, case_id, COMPLIANCE)
            outcomes.append("published")
        except ListMoved:
            outcomes.append("moved")

    threads = [threading.Thread(target=work, args=(edit.case_id,)) for edit in edits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["moved", "published"]
    assert codes(store) == [("FM-0001", 2)]
    with store.view() as view:
        numbers = [row.number for row in queries.versions(view, ListKind.NEGATIVE)]
        current = select(ListEntry).where(ListEntry.code == "FM-0001", ListEntry.until_version == None)  # noqa: E711
        assert len(view.session.exec(current).all()) == 1
    assert numbers == [2, 1]


def test_a_rejected_and_a_withdrawn_edit_change_nothing(store: Store) -> None:
    edit = proposed(store, negative())
    decide(store, edit.case_id, COMPLIANCE, approve=False)
    with pytest.raises(AlreadyDecided):
        decide(store, edit.case_id, COMPLIANCE)
    other = proposed(store, negative())
    with pytest.raises(NotFound), store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        actions.withdraw_edit(unit, COMPLIANCE, other.id)
    with store.unit(MANDATOR.id, MANDATOR.org) as unit:
        actions.withdraw_edit(unit, MANDATOR, other.id)
    with pytest.raises(AlreadyDecided):
        decide(store, other.case_id, COMPLIANCE)
    with pytest.raises(WrongState), store.unit(MANDATOR.id, MANDATOR.org) as unit:
        actions.withdraw_edit(unit, MANDATOR, other.id)
    assert codes(store) == []


def test_entries_come_up_for_review(store: Store) -> None:
    with clock.held(clock.now().replace(year=clock.now().year - 1)):
        published(store, negative(review_on=civil(30)), negative(review_on=civil(500), title_zh="其二"))
    with store.view() as view:
        assert [row.code for row in queries.due_for_review(view)] == ["FM-0001"]


def test_edits_are_read_by_editors_and_auditors(store: Store) -> None:
    edit = proposed(store, negative(Condition(words=("逐户",))))
    with store.view() as view:
        assert queries.edits(view, AUDITOR)[0].id == edit.id
        with pytest.raises(NotFound):
            queries.edit(view, BUYER, edit.id)
        with pytest.raises(Forbidden):
            queries.edits(view, BUYER)


def test_builders_are_in_order(store: Store) -> None:
    entitled(store, MANDATOR)
    assert agreement().redelegation is False
