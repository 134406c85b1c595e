"""The engine decides by the published table: every (state, part, command) of every kind, walked through the database."""

import pytest

from market.approvals import actions, queries
from market.approvals.actions import enter
from market.approvals.problems import AlreadyDecided, InOthersCharge, NotYours
from market.approvals.procedures import PROCEDURES, roles_for
from market.approvals.rules import (
    CASE,
    OPEN,
    TABLE,
    CaseKind,
    CaseState,
    Command,
    Part,
    allowed,
    part_of,
    parts_for,
)
from market.approvals.tables import Case, Delegation
from market.casework import MATTERS
from market.identity.problems import OwnDecision
from market.identity.rules import Actor, OrgKind, Permission, Role
from storage.kernel import clock
from storage.kernel.problem import Problem, WrongState
from storage.unit import Store
from tests.market.people import AUDITOR

OPERATOR = OrgKind.MARKET_OPERATOR
DECIDERS = {
    CaseKind.LISTING: Role.APPROVER,
    CaseKind.ORDER: Role.APPROVER,
    CaseKind.REVOCATION: Role.COMPLIANCE,
    CaseKind.LIST_EDIT: Role.COMPLIANCE,
    CaseKind.MANDATE: Role.COMPLIANCE,
    CaseKind.REFUND: Role.FINANCE,
}
ASKERS = {
    CaseKind.LISTING: Role.PROVIDER,
    CaseKind.ORDER: Role.BUYER,
    CaseKind.REVOCATION: Role.PROVIDER,
    CaseKind.LIST_EDIT: Role.MANDATOR,
    CaseKind.MANDATE: Role.MANDATOR,
    CaseKind.REFUND: Role.BUYER,
}


def actor_for(kind: CaseKind, part: Part) -> Actor:
    """Somebody who is this part to the case below: usr_1 is in charge where somebody is, usr_2 stands in for them."""
    decides, asks = frozenset({DECIDERS[kind]}), frozenset({ASKERS[kind]})
    return {
        Part.APPLICANT: Actor("usr_asker", "pty_asker", asks),
        Part.DECIDER: Actor("usr_1", "pty_operator", decides, OPERATOR),
        Part.ASSIGNEE: Actor("usr_1", "pty_operator", decides, OPERATOR),
        Part.DEPUTY: Actor("usr_2", "pty_operator", decides, OPERATOR),
        Part.COLLEAGUE: Actor("usr_3", "pty_operator", decides, OPERATOR),
        Part.READER: AUDITOR,
        Part.OUTSIDER: Actor("usr_9", "pty_elsewhere", frozenset({Role.CITIZEN})),
    }[part]


def test_every_kind_has_a_procedure_a_room_and_people(store: Store) -> None:
    assert set(PROCEDURES) == set(MATTERS) == set(CaseKind) == set(DECIDERS)
    for procedure in PROCEDURES.values():
        assert procedure.roles(Part.APPLICANT)
        assert procedure.roles(Part.DECIDER)
        assert not set(procedure.roles(Part.DECIDER)) & {Role.AUDITOR, Role.PLATFORM_ADMIN}, (
            "they never decide"
        )
        assert procedure.due_days <= procedure.expire_days


def test_the_table_speaks_of_the_machine() -> None:
    """Each command that moves a case is a verb of its machine, in exactly the states the machine allows it."""
    moves = {
        Command.APPROVE,
        Command.REJECT,
        Command.RETURN,
        Command.CANCEL,
        Command.EXPIRE,
        Command.RESUBMIT,
    }
    for command in moves:
        by_table = {state for (state, _), row in TABLE.items() if command in row}
        by_machine = {state for state, verb in CASE.moves if verb == str(command)}
        assert by_table == by_machine, command
    assert {state for state, _ in TABLE} == OPEN
    assert all(CASE.ended(state) for state in set(CaseState) - OPEN)


@pytest.mark.parametrize("kind", list(CaseKind))
def test_every_triple_is_decided_by_the_table(store: Store, kind: CaseKind) -> None:
    procedure, now = PROCEDURES[kind], clock.now()
    with store.unit("system:test") as unit:
        unit.session.add(
            Delegation(
                id="dlg_1",
                person="usr_1",
                org="pty_operator",
                deputy="usr_2",
                begins_at=now.replace(year=2020),
                ends_at=now.replace(year=2099),
                reason="休假两周",
                made_at=now,
            )
        )
        unit.record("delegation.made", "delegation:dlg_1")
    seen = {"done": 0, "403": 0, "409": 0}
    for state in CaseState:
        for part in set(Part) - {Part.CLOCK}:
            case_id = _case(store, kind, state, part)
            actor = actor_for(kind, part)
            for command in Command:
                right = command in allowed(procedure.table, state, part)
                problem = _tried(store, actor, case_id, command, part)
                outcome = "done" if problem is None else str(problem.status)
                if isinstance(problem, NotYours):
                    assert problem.members["roles"] == [str(role) for role in roles_for(procedure, command)]
                if problem is not None and not isinstance(problem, OwnDecision):
                    possible = [str(each) for each in allowed(procedure.table, state, part)]
                    assert problem.members["allowed"] == possible
                seen[outcome] += 1
                assert (outcome == "done") == right, (kind, state, part, command, outcome)
                if part in parts_for(procedure.table, command) and not right:
                    assert outcome == "409", (kind, state, part, command)
    print(f"{kind}: {sum(seen.values())} triples: {seen}")
    assert sum(seen.values()) == len(CaseState) * (len(Part) - 1) * len(Command)
    assert min(seen.values()) > 10


def _tried(store: Store, actor: Actor, case_id: str, command: Command, part: Part) -> Problem | None:
    try:
        with store.unit(actor.id, actor.org) as unit:
            case, found = enter(unit, actor, case_id, command, "四个字以上的理由")
    except (NotYours, OwnDecision, InOthersCharge, AlreadyDecided, WrongState) as refusal:
        return refusal
    assert (case.id, found) == (case_id, part)
    return None


def _case(store: Store, kind: CaseKind, state: CaseState, part: Part) -> str:
    taken = part in {Part.ASSIGNEE, Part.DEPUTY, Part.COLLEAGUE}
    with store.unit("system:test") as unit:
        case = actions.open_case(
            unit,
            kind=kind,
            subject=f"thing:{state}-{part}",
            submitted_by="usr_asker",
            submitted_org="pty_asker",
        )
        case.state, case.assigned_to = state, "usr_1" if taken else None
        unit.session.add(case)
        return case.id


def test_nobody_is_two_parts_and_own_comes_first() -> None:
    assert (
        part_of(own=True, asks=True, decides=True, reads=True, in_charge=True, taken=True, deputy=True)
        is Part.APPLICANT
    )
    assert (
        part_of(own=True, asks=False, decides=True, reads=True, in_charge=True, taken=True, deputy=True)
        is Part.OUTSIDER
    )
    assert Permission.CASE_RULES not in {each for p in PROCEDURES.values() for each in p.deciding}


def test_a_closed_case_says_who_closed_it(store: Store) -> None:
    case_id = _case(store, CaseKind.ORDER, CaseState.EXPIRED, Part.DECIDER)
    actor = actor_for(CaseKind.ORDER, Part.DECIDER)
    with pytest.raises(Problem) as refusal, store.unit(actor.id, actor.org) as unit:
        enter(unit, actor, case_id, Command.APPROVE, "四个字以上的理由")
    assert refusal.value.members["state"] == "expired"
    with store.view() as view:
        assert queries.commands(view, actor, view.session.get_one(Case, case_id)) == []
