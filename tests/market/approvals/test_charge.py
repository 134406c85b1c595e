"""Who is in charge, who stands in, what the clock does, and which rules decide by themselves."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from market import casework
from market.approvals import actions, autorules, charge, chasing, queries
from market.approvals.problems import AwayAlready, DecidedByYou, GroundMoved, InOthersCharge
from market.approvals.rules import (
    AUTO_RULES,
    AutoRule,
    CaseKind,
    CaseState,
    Command,
    Ground,
    Part,
    RiskLevel,
    RiskPoint,
    level_of,
)
from market.approvals.tables import Case, Delegation
from market.identity.problems import Forbidden, OwnDecision
from market.identity.rules import Actor, OrgKind, Role
from market.identity.tables import Mail
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.problem import Invalid, NotFound
from storage.kernel.words import Words
from storage.kernel.workdays import working_days_between
from storage.unit import Store
from tests import people

ZONE = "Asia/Shanghai"


class Office:
    """A market operator with three approvers and a compliance officer, and a company that asks."""

    def __init__(self, store: Store) -> None:
        self.store = store
        operator = people.organization(store, OrgKind.MARKET_OPERATOR, "青岛数港运营有限公司")
        company = people.organization(store, OrgKind.STATE_DATA_COMPANY, "青岛数据集团有限公司")
        self.first, self.second, self.third = (
            people.person(store, operator, f"{name}@x.cn", Role.APPROVER).actor for name in ("a", "b", "c")
        )
        self.compliance = people.person(store, operator, "k@x.cn", Role.COMPLIANCE).actor
        self.admin = people.person(store, operator, "adm@x.cn", Role.PLATFORM_ADMIN).actor
        self.asker = people.person(store, company, "p@x.cn", Role.PROVIDER).actor

    def opened(self, subject: str = "listing:lst_1", needs: int = 1, **facts: Any) -> Case:
        with self.store.unit(self.asker.id, self.asker.org) as unit:
            return actions.open_case(
                unit,
                kind=CaseKind.LISTING,
                subject=subject,
                submitted_by=self.asker.id,
                submitted_org=self.asker.own_org,
                needs=needs,
                ground=Ground(facts),
                zone=ZONE,
            )

    def approve(self, who: Actor, case: Case, **more: Any) -> Case:
        with self.store.unit(who.id, who.org) as unit:
            return actions.decide(unit, who, case.id, approve=True, reason="符合要求", **more)

    def away(self, who: Actor, deputy: Actor, days: int = 5) -> Delegation:
        with self.store.unit(who.id, who.org) as unit:
            return charge.delegate(
                unit,
                who,
                deputy=deputy.id,
                begins=clock.now() - timedelta(hours=1),
                ends=clock.now() + timedelta(days=days),
                reason="出差开会",
            )

    def take(self, who: Actor, case: Case) -> Case:
        with self.store.unit(who.id, who.org) as unit:
            return charge.take(unit, who, case.id)

    def mails(self, template: str) -> list[str]:
        with self.store.view() as view:
            return [mail.to for mail in view.session.exec(select(Mail).where(Mail.template == template))]


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


def test_who_took_a_case_decides_it_and_another_takes_it_over_first(office: Office) -> None:
    case = office.take(office.first, office.opened())
    with pytest.raises(InOthersCharge) as refusal:
        office.approve(office.second, case)
    assert refusal.value.members["assigned_to"] == office.first.id
    assert "take" in refusal.value.members["allowed"]
    office.take(office.second, case)
    assert office.mails("case_waiting") == ["a@x.cn"], "who lost the case is told"
    assert office.approve(office.second, case).state is CaseState.APPROVED


def test_a_case_is_handed_to_who_can_decide_it_only(office: Office) -> None:
    case = office.opened()
    for other in (office.first, office.compliance, office.asker, office.admin):
        with pytest.raises(Invalid), office.store.unit(office.first.id, office.first.org) as unit:
            charge.hand_over(unit, office.first, case.id, to=other.id, reason="请代为办理")
    with office.store.unit(office.first.id, office.first.org) as unit:
        charge.hand_over(unit, office.first, case.id, to=office.second.id, reason="请代为办理")
    assert office.mails("case_waiting") == ["b@x.cn"]
    with office.store.view() as view:
        mine = queries.queue(view, office.second, kind=CaseKind.LISTING, mine=True)
    assert [each.id for each in mine] == [case.id]


def test_a_deputy_decides_for_who_is_away_and_it_is_written_down(office: Office) -> None:
    case = office.take(office.first, office.opened(needs=2))
    office.away(office.first, office.second)
    with office.store.view() as view:
        assert queries.part_in(view, office.second, case) is Part.DEPUTY
        assert queries.part_in(view, office.third, case) is Part.COLLEAGUE
    case = office.approve(office.second, case)
    with office.store.view() as view:
        [said] = queries.decisions(view, case.id)
    assert (said.by, said.on_behalf_of) == (office.second.id, office.first.id)
    for who in (office.first, office.second):  # one voice: neither speaks again
        with pytest.raises(DecidedByYou):
            office.approve(who, case)
    assert office.approve(office.compliance, case).state is CaseState.APPROVED


def test_no_deputy_makes_an_own_matter_anothers(office: Office) -> None:
    """The applicant's colleague cannot decide as a deputy, nor may somebody without the permission be one."""
    case = office.take(office.first, office.opened())
    both = Actor(
        office.second.id, office.second.org, office.second.roles, orgs=frozenset({office.asker.own_org})
    )
    office.away(office.first, office.second)
    with pytest.raises(OwnDecision):
        office.approve(both, case)
    for deputy in (office.third, office.compliance, office.asker):
        with pytest.raises(Invalid) as refusal:
            office.away(office.third, deputy)
        assert refusal.value.faults[0].field == "deputy"
    with pytest.raises(Forbidden):
        office.away(office.asker, office.first)


def test_a_delegation_has_a_time_and_an_end(office: Office) -> None:
    made = office.away(office.first, office.second)
    with pytest.raises(AwayAlready):
        office.away(office.first, office.third)
    for begins, ends in ((0, 0), (1, -1), (0, 93), (-9, -1)):
        with pytest.raises(Invalid), office.store.unit(office.third.id, office.third.org) as unit:
            charge.delegate(
                unit,
                office.third,
                deputy=office.second.id,
                begins=clock.now() + timedelta(days=begins),
                ends=clock.now() + timedelta(days=ends),
                reason="出差开会",
            )
    with pytest.raises(NotFound), office.store.unit(office.third.id, office.third.org) as unit:
        charge.end_delegation(unit, office.third, made.id)
    with office.store.unit(office.first.id, office.first.org) as unit:
        charge.end_delegation(unit, office.first, made.id)
    with office.store.view() as view:
        assert queries.deputy_of(view, office.first.id, clock.now()) is None
    office.away(office.first, office.third)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_clock_reminds_escalates_and_ends_in_working_days(office: Office) -> None:
    """Sent on the last working day before the National Day week of 2026: the holidays do not count."""
    with clock.held(at("2026-09-30T10:00+08:00")):
        case = office.take(office.first, office.opened())
    assert case.due_at == at(
        "2026-10-14T00:00+08:00"
    )  # after the 8th, 9th, 10th (a Saturday worked in exchange), 12th and 13th
    assert working_days_between(case.submitted_at, case.due_at - timedelta(seconds=1), ZONE) == 5
    steps = {}
    moment = case.submitted_at
    while moment < case.expires_at + timedelta(days=1):
        with clock.held(moment), office.store.view() as view:
            due = casework.due_cases(view, moment, ZONE)
        for case_id, command in due:
            steps[command] = moment
            with clock.held(moment), office.store.unit("system:clock") as unit:
                if command is Command.EXPIRE:
                    actions.end_overdue(unit, case_id, moment)
                else:
                    chasing.chase(unit, case_id, moment, ZONE)
        moment += timedelta(hours=6)
    assert list(steps) == [Command.REMIND, Command.ESCALATE, Command.EXPIRE]
    assert timedelta() <= case.due_at - steps[Command.REMIND] <= timedelta(days=1)
    assert working_days_between(case.due_at, steps[Command.ESCALATE], ZONE) >= 2
    assert office.mails("case_waiting") == ["a@x.cn", "a@x.cn", "b@x.cn", "c@x.cn"]
    assert office.mails("case_told") == ["p@x.cn"]
    with office.store.view() as view:
        kinds = [
            row.kind for row in view.session.exec(select(Entry).where(Entry.subject == f"case:{case.id}"))
        ]
        ended = view.session.get_one(Case, case.id)
    assert sorted(kinds) == sorted(
        ["case.opened", "case.taken", "case.reminded", "case.escalated", "case.expired"]
    )
    assert (ended.state, ended.assigned_to) == (CaseState.EXPIRED, None)


def test_the_reason_reaches_the_applicant_by_mail(office: Office) -> None:
    case = office.opened()
    with office.store.unit(office.first.id, office.first.org) as unit:
        actions.comment(unit, office.first, case.id, text="请说明更新频率")
        actions.return_case(unit, office.first, case.id, reason="数据字典缺少单位")
    with office.store.view() as view:
        told = [mail.data for mail in view.session.exec(select(Mail).where(Mail.to == "p@x.cn"))]
    assert [each["reason"] for each in told] == ["请说明更新频率", "数据字典缺少单位"]
    assert all(each["path"] == f"/requests/{case.id}" for each in told)


def test_a_change_after_reading_is_told(office: Office) -> None:
    case = office.opened(rows=10, price=200)
    now = Ground({"rows": 10, "price": 900})
    with pytest.raises(GroundMoved) as refusal:
        office.approve(office.first, case, seen=Ground(case.facts).facts_hash, ground=now)
    assert refusal.value.members["changed"] == ["price"]
    assert office.approve(office.first, case, seen=now.facts_hash, ground=now).state is CaseState.APPROVED


def test_a_rule_is_switched_by_the_administrator_with_a_reason(office: Office) -> None:
    code = AUTO_RULES[0].code
    with pytest.raises(Forbidden), office.store.unit(office.first.id, office.first.org) as unit:
        autorules.switch(unit, office.first, code, on=True, reason="加快办理")
    for wrong, reason in ((code, "好"), ("order.unknown", "加快办理")):
        with pytest.raises((Invalid, NotFound)), office.store.unit(office.admin.id, office.admin.org) as unit:
            autorules.switch(unit, office.admin, wrong, on=True, reason=reason)
    for on in (True, False, True):
        with office.store.unit(office.admin.id, office.admin.org) as unit:
            autorules.switch(unit, office.admin, code, on=on, reason=f"试运行 {on}")
    with office.store.view() as view:
        assert queries.switches(view)[code].on
        kinds = [row.kind for row in view.session.exec(select(Entry).where(Entry.subject == f"rule:{code}"))]
    assert sorted(kinds) == ["rule.switched_off", "rule.switched_on", "rule.switched_on"]


@pytest.mark.parametrize("rule", AUTO_RULES, ids=lambda rule: rule.code)
def test_a_rule_holds_for_all_its_facts_and_no_fewer(rule: AutoRule) -> None:
    facts = {name: fine[0] for name, fine in rule.wants.items()}
    risky = (RiskPoint("x", 30, Words("风险", "risk")),)
    assert rule.holds(Ground(facts), needs=1)
    assert not rule.holds(Ground(facts), needs=2)
    assert not rule.holds(Ground(facts, risky), needs=1)
    for name in facts:
        assert not rule.holds(Ground({**facts, name: "something else"}), needs=1)
        assert not rule.holds(Ground({key: value for key, value in facts.items() if key != name}), needs=1)
    assert level_of(30) is RiskLevel.MEDIUM
