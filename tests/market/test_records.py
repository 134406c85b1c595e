"""What must be kept is kept, what is past its term goes, and a person can be forgotten while the journal still verifies."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from contracts.terms import Purpose
from market import records
from market.approvals import charge
from market.audit.problems import LastAdministrator, NotPurged, OnHold, TermRuns
from market.audit.rules import TERMS, RecordKind, months_before, purgeable_before
from market.house import House
from market.identity.actions import PartyForm, register_party, send_mail
from market.identity.membership import invite_member
from market.identity.problems import Forbidden
from market.identity.rules import IdType, OrgKind, PartyKind, Role
from market.identity.tables import LoginSession, Mail, Membership, Party, User
from market.trading.tables import Order
from storage import journal
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.problem import Invalid, NotFound
from storage.unit import Store
from tests import people
from tests.people import Person


class Town:
    """A market operator with an administrator, a compliance officer, and an approver who wants to be forgotten."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.operator = people.organization(store, OrgKind.MARKET_OPERATOR, "青岛数港运营有限公司")
        self.admin = people.person(store, self.operator, "adm@x.cn", Role.PLATFORM_ADMIN, Role.ORG_ADMIN)
        self.officer = people.person(store, self.operator, "k@x.cn", Role.COMPLIANCE)
        self.leaver = people.person(store, self.operator, "sun.meili@x.cn", Role.APPROVER)
        with store.unit("system:test") as unit:
            user = unit.session.get_one(User, self.leaver.user.id)
            user.name = "孙美丽"
            unit.session.add(user)
            send_mail(unit, user, "reset", {"secret": "x"})
            owner = unit.session.get_one(Party, self.operator.id)
            owner.contact, owner.phone, owner.email = "孙美丽", "13800138000", "sun.meili@x.cn"
            unit.session.add(owner)
            unit.record("test.prepared", "test:1")

    def erase(self, who: Person, by: Person | None = None, reason: str = "本人申请删除") -> records.Erased:
        actor = (by or self.admin).actor
        with self.store.unit(actor.id, actor.org) as unit:
            return records.erase_person(unit, actor, who.user.id, reason=reason)

    def hold(self, subject: str) -> str:
        with self.store.unit(self.officer.actor.id, self.operator.id) as unit:
            return records.place_hold(unit, self.officer.actor, subject=subject, reason="监管机关要求保全").id


@pytest.fixture
def town(store: Store) -> Town:
    return Town(store)


def everything(store: Store) -> str:
    """Every row of every table a person could stand in, as text."""
    with store.view() as view:
        tables = (User, Party, Membership, Mail, LoginSession, Entry)
        return " ".join(str(row.model_dump()) for table in tables for row in view.session.exec(select(table)))


def test_a_person_is_forgotten_and_the_journal_still_holds(town: Town) -> None:
    actor = town.leaver.actor
    with town.store.unit(actor.id, actor.org) as unit:
        unit.record("thing.done", "thing:1", reason="符合要求")
    journal.seal(town.store)
    assert "孙美丽" in everything(town.store)
    done = town.erase(town.leaver)
    assert (done.memberships, done.mails) == (1, 1)
    assert [(str(each.kind), each.count) for each in done.kept] == [("trade", 0)]
    journal.seal(town.store)
    text = everything(town.store)
    for trace in ("孙美丽", "sun.meili", "13800138000"):
        assert trace not in text, trace
    assert town.leaver.user.id in text, "what they did stays under their number"
    assert journal.verify_stored(town.store).ok
    assert town.erase(town.leaver).memberships == 0, "twice is once"


def test_a_forgotten_person_is_in_charge_of_nothing(town: Town) -> None:
    other = people.person(town.store, town.operator, "zhou@x.cn", Role.APPROVER)
    with town.store.unit(other.user.id, town.operator.id) as unit:
        charge.delegate(
            unit,
            other.actor,
            deputy=town.leaver.user.id,
            begins=clock.now(),
            ends=clock.now() + timedelta(days=3),
            reason="出差开会",
        )
    town.erase(town.leaver)
    with town.store.view() as view:
        from market.approvals.queries import deputy_of

        assert deputy_of(view, other.user.id, clock.now()) is None


def test_who_may_not_erase_and_whom(town: Town) -> None:
    with pytest.raises(Forbidden):
        town.erase(town.leaver, by=town.officer)
    with pytest.raises(Invalid):
        town.erase(town.admin)
    with pytest.raises(Invalid):
        town.erase(town.leaver, reason="好")
    company = people.organization(town.store, OrgKind.ENTERPRISE, "青岛甲方数据有限公司")
    boss = people.person(town.store, company, "boss@x.cn", Role.ORG_ADMIN)
    with town.store.unit(boss.user.id, company.id) as unit:
        invite_member(unit, boss.actor, login="b@x.cn", name="乙", roles=frozenset({Role.BUYER}))
    with pytest.raises(LastAdministrator) as refusal:
        town.erase(boss)
    assert refusal.value.members["org"] == company.id
    with pytest.raises(NotFound), town.store.unit(town.admin.user.id) as unit:
        records.erase_person(unit, town.admin.actor, "usr_none", reason="本人申请删除")


def test_a_hold_keeps_a_person_until_it_is_lifted(town: Town) -> None:
    with pytest.raises(Forbidden), town.store.unit(town.admin.user.id) as unit:
        records.place_hold(unit, town.admin.actor, subject="user:usr_1", reason="监管机关要求保全")
    held = town.hold(f"user:{town.leaver.user.id}")
    with pytest.raises(OnHold) as refusal:
        town.erase(town.leaver)
    assert refusal.value.members["hold"] == held
    with town.store.unit(town.officer.user.id, town.operator.id) as unit:
        records.lift_hold(unit, town.officer.actor, held, reason="保全期满")
    with pytest.raises(NotFound), town.store.unit(town.officer.user.id, town.operator.id) as unit:
        records.lift_hold(unit, town.officer.actor, held, reason="保全期满")
    assert town.erase(town.leaver).memberships == 1


def natural_person(town: Town) -> Party:
    with town.store.unit("system:test") as unit:
        form = PartyForm(
            name="李自然人",
            id_number="P1234567",
            kind=PartyKind.PERSON,
            org_kind=None,
            id_type=IdType.PASSPORT,
            phone="13900139000",
        )
        return register_party(unit, form)


def test_a_party_is_kept_while_the_term_of_a_deal_runs(town: Town) -> None:
    citizen = natural_person(town)
    placed = datetime(2020, 2, 29, tzinfo=UTC)
    with town.store.unit("system:test") as unit:
        unit.session.add(
            Order(
                id="ord_1",
                number="DD-1",
                buyer_id=citizen.id,
                seller_id=town.operator.id,
                placed_by="usr_1",
                product_id="prd_1",
                plan_id="pln_1",
                offer_hash="0",
                purpose=Purpose.PERSONAL,
                scenario="个人学习研究使用",
                months=1,
                fee_fen=0,
                prepay_fen=0,
                due_fen=0,
                rules_version="1",
                placed_at=placed,
            )
        )
        unit.record("order.placed", "order:ord_1")
    actor = town.admin.actor
    with pytest.raises(TermRuns) as refusal, town.store.unit(actor.id, actor.org) as unit:
        records.erase_party(unit, actor, citizen.id, reason="本人申请删除")
    until = datetime.fromisoformat(refusal.value.members["until"])
    assert until == datetime(2030, 2, 28, tzinfo=UTC)
    assert "电子商务法" in refusal.value.members["law"]["zh"]
    with clock.held(until + timedelta(days=2)), town.store.unit(actor.id, actor.org) as unit:
        records.erase_party(unit, actor, citizen.id, reason="本人申请删除")
    text = everything(town.store)
    for trace in ("李自然人", "P1234567", "13900139000"):
        assert trace not in text, trace
    company = people.organization(town.store, OrgKind.ENTERPRISE, "青岛甲方数据有限公司")
    with pytest.raises(NotFound), town.store.unit(actor.id, actor.org) as unit:
        records.erase_party(unit, actor, company.id, reason="不是自然人")


def test_purging_refuses_within_the_legal_term(town: Town) -> None:
    now = clock.now()
    for kind, term in TERMS.items():
        with pytest.raises(TermRuns) as refusal, town.store.unit("system:cli") as unit:
            records.purge(unit, kind, before=months_before(now, term.least_months - 1))
        assert refusal.value.members["months"] == term.least_months
        assert term.least_months <= term.months
        if term.purged:
            continue
        with pytest.raises(NotPurged), town.store.unit("system:cli") as unit:
            records.purge(unit, kind, before=months_before(now, term.months + 1))
    assert TERMS[RecordKind.TRADE].least_months >= 36
    assert purgeable_before(RecordKind.ACCESS, now, months=1) == months_before(now, 6), (
        "never under the law's"
    )


def test_the_clock_purges_what_is_past_and_nothing_on_hold(town: Town) -> None:
    with town.store.unit("system:test") as unit:
        for mail in unit.session.exec(select(Mail)):
            mail.created_at, mail.sent_at = clock.now() - timedelta(days=400), clock.now()
            unit.session.add(mail)
        send_mail(unit, unit.session.get_one(User, town.admin.user.id), "reset", {"secret": "y"})
        unit.record("test.aged", "test:1")
    held = town.hold("records:access")
    with town.store.unit("system:clock") as unit:
        records.purge_due(unit)
    assert count(town.store) == 2
    with pytest.raises(OnHold), town.store.unit("system:cli") as unit:
        records.purge(unit, RecordKind.ACCESS, before=months_before(clock.now(), 12))
    with town.store.unit(town.officer.user.id, town.operator.id) as unit:
        records.lift_hold(unit, town.officer.actor, held, reason="保全期满")
    with town.store.unit("system:clock") as unit:
        records.purge_due(unit)
    assert count(town.store) == 1
    with town.store.view() as view:
        [entry] = view.session.exec(select(Entry).where(col(Entry.kind) == "records.purged"))
    assert entry.data["mails"] == 1


def count(store: Store) -> int:
    with store.view() as view:
        return len(view.session.exec(select(Mail)).all())


def test_the_api_says_what_is_kept_and_why(house: House) -> None:
    from starlette.testclient import TestClient

    from market.app import Front

    town = Town(house.store)
    with TestClient(Front(house, background=False), base_url="http://127.0.0.1:8000") as client:
        people.sign_in(client, house.store, house.secret, town.admin)
        path = f"/api/v1/records/people/{town.leaver.user.id}/erasure"
        answer = client.post(path, json={"reason": "本人申请删除"}, headers={"Idempotency-Key": "k1"})
        assert answer.status_code == 200, answer.text
        [kept] = answer.json()["kept"]
        assert (kept["kind"], kept["months"]) == ("trade", 120)
        assert len(client.get("/api/v1/records/terms").json()) == len(RecordKind)
        bad = client.post(path, json={"reason": "x"}, headers={"Idempotency-Key": "k2"})
        assert bad.status_code == 422
