"""Nobody decides on their own matter, two means two people, and of two at once one is told."""

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from market.approvals import actions, queries
from market.approvals.problems import AlreadyDecided, CaseMoved, CaseOpen, DecidedByYou, NotYours, SameRole
from market.approvals.rules import (
    CASE,
    CaseKind,
    CaseState,
    Ground,
    Verdict,
    own_matter,
    reason_faults,
    verb_for,
)
from market.approvals.tables import Case
from market.identity.problems import Forbidden, OwnDecision
from market.identity.rules import Actor, OrgKind, Permission, Role
from storage.kernel.problem import Invalid, NotFound, WrongState
from storage.unit import Store
from tests.market.people import (
    APPROVER,
    AUDITOR,
    BUYER,
    COMPLIANCE,
    OTHER_PROVIDER,
    PROVIDER,
    SECOND_APPROVER,
)

LISTING = Permission.LISTING_APPROVE


def opened(store: Store, needs: int = 1, subject: str = "listing:lst_1") -> Case:
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        return actions.open_case(
            unit,
            kind=CaseKind.LISTING,
            subject=subject,
            submitted_by=PROVIDER.id,
            submitted_org=PROVIDER.own_org,
            needs=needs,
        )


def decide(
    store: Store, actor: Actor, case: Case, *, approve: bool = True, version: int | None = None
) -> Case:
    with store.unit(actor.id, actor.org) as unit:
        return actions.decide(
            unit,
            actor,
            case.id,
            approve=approve,
            reason="符合挂牌要求",
            expected_version=version,
        )


def test_one_approval_closes_a_case_that_needs_one(store: Store) -> None:
    case = decide(store, APPROVER, opened(store))
    assert (case.state, case.version) == (CaseState.APPROVED, 2)
    assert case.closed_at is not None
    with store.view() as view:
        [decision] = queries.decisions(view, case.id)
    assert (decision.by, decision.role, decision.reason) == (APPROVER.id, "approver", "符合挂牌要求")


def test_two_means_two_different_people(store: Store) -> None:
    case = opened(store, needs=2)
    assert decide(store, APPROVER, case).state is CaseState.WAITING
    with pytest.raises(DecidedByYou):
        decide(store, APPROVER, case)
    with pytest.raises(SameRole) as refusal:
        decide(store, SECOND_APPROVER, case)
    assert refusal.value.members["roles"] == ["compliance"]
    assert decide(store, COMPLIANCE, case).state is CaseState.APPROVED
    with store.view() as view:
        assert [said.role for said in queries.decisions(view, case.id)] == ["approver", "compliance"]


def test_who_may_only_endorse_never_decides_alone(store: Store) -> None:
    case = opened(store)
    with pytest.raises(Forbidden):
        decide(store, COMPLIANCE, case)
    with store.view() as view:
        assert queries.queue(view, COMPLIANCE, kind=CaseKind.LISTING) == []


def test_one_rejection_ends_a_case_of_two(store: Store) -> None:
    case = opened(store, needs=2)
    decide(store, APPROVER, case)
    assert decide(store, SECOND_APPROVER, case, approve=False).state is CaseState.REJECTED


def test_nobody_decides_on_their_own_matter(store: Store) -> None:
    case = opened(store)
    colleague = Actor("usr_c", PROVIDER.org, frozenset({Role.APPROVER}), OrgKind.MARKET_OPERATOR)
    same_person = Actor(PROVIDER.id, "pty_x", frozenset({Role.APPROVER}), OrgKind.MARKET_OPERATOR)
    for actor in (colleague, same_person):
        with pytest.raises(OwnDecision):
            decide(store, actor, case)
        with store.view() as view:
            assert queries.queue(view, actor, kind=CaseKind.LISTING) == []


def test_the_wrong_role_short_reasons_and_strange_ids_are_refused(store: Store) -> None:
    case = opened(store)
    with pytest.raises(Forbidden):
        decide(store, BUYER, case)
    for reason in ("", "好的", " ok ", "x" * 501):
        with pytest.raises(Invalid), store.unit(APPROVER.id, APPROVER.org) as unit:
            actions.decide(unit, APPROVER, case.id, approve=True, reason=reason)
    with pytest.raises(NotFound), store.unit(APPROVER.id, APPROVER.org) as unit:
        actions.decide(unit, APPROVER, "cas_none", approve=True, reason="符合要求")


def test_who_comes_late_is_told_who_decided(store: Store) -> None:
    case = opened(store)
    decide(store, APPROVER, case)
    with pytest.raises(AlreadyDecided) as refusal:
        decide(store, SECOND_APPROVER, case, approve=False)
    assert refusal.value.members["by"] == APPROVER.id
    assert refusal.value.members["state"] == "approved"


@pytest.mark.parametrize("needs", [1, 2])
def test_of_two_at_once_one_wins_and_the_other_is_told(store: Store, needs: int) -> None:
    case = opened(store, needs=needs)
    outcomes: dict[str, object] = {}
    gate = threading.Barrier(2)

    def work(actor: Actor, *, approve: bool) -> None:
        gate.wait()
        try:
            outcomes[actor.id] = str(decide(store, actor, case, approve=approve, version=1).state)
        except (AlreadyDecided, CaseMoved) as refusal:
            outcomes[actor.id] = refusal.members["by"]

    threads = [
        threading.Thread(target=work, args=(APPROVER,), kwargs={"approve": True}),
        threading.Thread(target=work, args=(SECOND_APPROVER,), kwargs={"approve": True}),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = "approved" if needs == 1 else "waiting"
    assert outcomes in (
        {APPROVER.id: winner, SECOND_APPROVER.id: APPROVER.id},
        {SECOND_APPROVER.id: winner, APPROVER.id: SECOND_APPROVER.id},
    )
    with store.view() as view:
        assert len(queries.decisions(view, case.id)) == 1


def test_a_stale_page_is_refused_and_a_fresh_one_accepted(store: Store) -> None:
    case = opened(store, needs=2)
    decide(store, APPROVER, case, version=1)
    with pytest.raises(CaseMoved) as refusal:
        decide(store, SECOND_APPROVER, case, version=1)
    assert refusal.value.members["version"] == 2
    assert decide(store, COMPLIANCE, case, version=2).state is CaseState.APPROVED


def test_one_subject_is_open_once_and_a_returned_case_comes_back(store: Store) -> None:
    case = opened(store, needs=2)
    with pytest.raises(CaseOpen) as refusal:
        opened(store)
    assert refusal.value.members["case"] == case.id
    decide(store, COMPLIANCE, case)
    with store.unit(APPROVER.id, APPROVER.org) as unit:
        assert actions.return_case(unit, APPROVER, case.id, reason="补充数据字典").state is CaseState.RETURNED
    with pytest.raises(CaseOpen):
        opened(store)  # it is with the applicant, and still the same case
    with pytest.raises(WrongState), store.unit(APPROVER.id, APPROVER.org) as unit:
        actions.return_case(unit, APPROVER, case.id, reason="再退一次")
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        again = actions.resubmit(
            unit, PROVIDER, case.id, note="已补充数据字典", needs=2, ground=Ground({"rows": 3})
        )
    assert (again.id, again.state, again.round, again.version) == (case.id, CaseState.WAITING, 2, 4)
    assert again.facts == {"rows": 3}
    assert decide(store, APPROVER, again).state is CaseState.WAITING, "the first round counts no more"
    assert decide(store, COMPLIANCE, again).state is CaseState.APPROVED
    with store.view() as view:
        said = [(each.round, each.by, str(each.verdict)) for each in queries.decisions(view, case.id)]
    assert said == [
        (1, COMPLIANCE.id, "approve"),
        (1, APPROVER.id, "return"),
        (2, APPROVER.id, "approve"),
        (2, COMPLIANCE.id, "approve"),
    ]


def test_an_applicant_withdraws_and_may_ask_again(store: Store) -> None:
    case = opened(store)
    with pytest.raises(NotYours), store.unit(APPROVER.id, APPROVER.org) as unit:
        actions.withdraw(unit, APPROVER, case.id, reason="不是我的事项")
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        assert actions.withdraw(unit, PROVIDER, case.id, reason="资料有误").state is CaseState.CANCELLED
    with pytest.raises(AlreadyDecided), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.cancel_case(unit, case.id)
    assert opened(store).id != case.id


def test_the_queue_shows_what_one_can_decide(store: Store) -> None:
    case, other = opened(store, needs=2), opened(store, subject="listing:lst_2")
    with store.view() as view:
        waiting = queries.queue(view, APPROVER, kind=CaseKind.LISTING)
        assert [found.id for found in waiting] == [case.id, other.id]
        assert queries.queue(view, APPROVER, kind=CaseKind.ORDER) == []
        with pytest.raises(Forbidden):
            queries.queue(view, BUYER, kind=CaseKind.LISTING)
    decide(store, APPROVER, case)
    with store.view() as view:
        mine = queries.queue(view, APPROVER, kind=CaseKind.LISTING)
        theirs = queries.queue(view, SECOND_APPROVER, kind=CaseKind.LISTING)
    assert [found.id for found in mine] == [other.id]
    assert [found.id for found in theirs] == [case.id, other.id]


def test_another_organizations_case_is_not_there(store: Store) -> None:
    case = opened(store)
    with store.view() as view:
        for reader in (PROVIDER, APPROVER, AUDITOR):
            assert queries.case(view, reader, case.id).id == case.id
        for stranger in (OTHER_PROVIDER, BUYER):
            with pytest.raises(NotFound):
                queries.case(view, stranger, case.id)
        assert [found.id for found in queries.submitted_by_org(view, PROVIDER)] == [case.id]
        assert queries.submitted_by_org(view, BUYER) == []


def test_a_case_needs_one_or_two(store: Store) -> None:
    with pytest.raises(ValueError, match="one or two"):
        opened(store, needs=3)
    with store.view() as view:
        assert queries.of_subject(view, "listing:lst_1") == []


def test_the_database_refuses_a_second_vote_of_one_person(store: Store) -> None:
    from market.approvals.tables import Decision
    from storage.kernel import clock

    case = opened(store)
    row: dict[str, Any] = {
        "case_id": case.id,
        "by": "usr_1",
        "role": "approver",
        "reason": "符合要求",
        "at": clock.now(),
    }
    with pytest.raises(DBAPIError), store.unit("system:test") as unit:
        unit.session.add_all(
            [Decision(id=name, verdict=Verdict.APPROVE, **row) for name in ("dec_1", "dec_2")]
        )
        unit.session.flush()


@given(st.lists(st.sampled_from(list(Verdict)), max_size=6), st.integers(1, 2))
def test_any_run_of_verdicts_ends_once_and_never_early(verdicts: list[Verdict], needs: int) -> None:
    state, approvals = CaseState.WAITING, 0
    for verdict in verdicts:
        try:
            state = CASE.after(state, verb_for(verdict, approvals, needs))
        except WrongState:
            assert state is not CaseState.WAITING
            return
        approvals += verdict is Verdict.APPROVE
        assert (state is CaseState.APPROVED) == (verdict is Verdict.APPROVE and approvals == needs)


@given(st.text(max_size=600))
def test_a_reason_has_four_to_five_hundred_characters(reason: str) -> None:
    assert bool(reason_faults(reason)) == (not 4 <= len(reason.strip()) <= 500)


def test_a_citizen_without_an_organization_is_nobodys_colleague() -> None:
    assert not own_matter(person="usr_1", orgs=(), submitted_by="usr_2", submitted_org=None)
