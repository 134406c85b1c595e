"""A mandate's way: two people of two roles, a public notice, the operator's signature, and every end."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from market.identity.problems import Forbidden, OwnDecision
from market.identity.rules import Actor, OrgKind, Role
from market.mandates import actions, pricing, queries
from market.mandates.prices import CapForm, CapStep, ChargeUnit
from market.mandates.problems import (
    AgreementDiffers,
    CapOverlaps,
    CeilingOverlaps,
    MandateNotFound,
    MandateNoticeRunning,
)
from market.mandates.rules import NOTICE_DAYS, Assessed, MandateState, Resource
from market.mandates.tables import Mandate, RevenueCap
from market.trading import holding
from storage.kernel import clock
from storage.kernel.problem import Conflict, Invalid, NotFound, WrongState
from storage.unit import Store
from tests.market.mandates_made import (
    REASON,
    agreement,
    ceiling,
    civil,
    drafted_mandate,
    entitled,
    noticed_mandate,
    signed_mandate,
)
from tests.market.people import (
    APPROVER,
    AUDITOR,
    BUYER,
    COMPLIANCE,
    DEPARTMENT,
    MANDATOR,
    OTHER_PROVIDER,
    PROVIDER,
)

FAKE = Actor("usr_fake", "pty_fake", frozenset({Role.MANDATOR}), OrgKind.ENTERPRISE, party_verified=True)


def do(store: Store, verb: Any, actor: Actor, *arguments: Any, **named: Any) -> Any:
    with store.unit(actor.id, actor.org) as unit:
        return verb(unit, actor, *arguments, **named)


def state(store: Store, mandate: Mandate) -> MandateState:
    with store.view() as view:
        return queries.mandate(view, AUDITOR, mandate.id).state


def test_from_draft_to_force(store: Store) -> None:
    mandate = noticed_mandate(store)
    assert mandate.state is MandateState.PUBLIC_NOTICE
    assert (mandate.number or "").startswith("SQ-")
    with pytest.raises(MandateNoticeRunning):
        do(store, holding.sign_mandate, PROVIDER, mandate.id, sha256=mandate.sha256)
    with clock.held(clock.now() + timedelta(days=NOTICE_DAYS, seconds=1)):
        with pytest.raises(AgreementDiffers):
            do(store, holding.sign_mandate, PROVIDER, mandate.id, sha256="0" * 64)
        with pytest.raises(MandateNotFound):
            do(store, holding.sign_mandate, OTHER_PROVIDER, mandate.id, sha256=mandate.sha256)
        signed = do(store, holding.sign_mandate, PROVIDER, mandate.id, sha256=mandate.sha256)
    assert signed.state is MandateState.ACTIVE
    with store.view() as view:
        kinds = [entry.kind for entry in queries.history(view, mandate.id)]
    assert kinds == [
        "mandate.drafted", "mandate.submitted", "mandate.noticed", "mandate.signed", "mandate.began",
    ]  # fmt: skip


def test_a_grant_needs_a_second_person_in_another_role(store: Store) -> None:
    mandate = drafted_mandate(store)
    sent = do(
        store, actions.submit_mandate, MANDATOR, mandate.id, minutes_no="青数纪 1 号", minutes_on=civil()
    )
    for actor, refusal in ((MANDATOR, OwnDecision), (APPROVER, Forbidden), (PROVIDER, Forbidden)):
        with pytest.raises(refusal):
            do(store, actions.decide_mandate, actor, sent.case_id, approve=True, reason=REASON)
    both = Actor(MANDATOR.id, MANDATOR.org, frozenset({Role.MANDATOR, Role.COMPLIANCE}), OrgKind.DATA_BUREAU)
    with pytest.raises(OwnDecision):
        do(store, actions.decide_mandate, both, sent.case_id, approve=True, reason=REASON)
    back = do(store, actions.decide_mandate, COMPLIANCE, sent.case_id, approve=False, reason="范围过宽")
    assert back.state is MandateState.DRAFT
    assert back.case_id is None


@pytest.mark.parametrize("actor", [PROVIDER, DEPARTMENT, BUYER, APPROVER, COMPLIANCE, AUDITOR, FAKE])
def test_only_a_bureaus_mandator_grants_and_prices(store: Store, actor: Actor) -> None:
    entitled(store, PROVIDER)
    with pytest.raises(Forbidden):
        do(store, actions.draft_mandate, actor, operator_id=PROVIDER.own_org, agreement=agreement())
    with pytest.raises(Forbidden):
        do(store, pricing.set_cap, actor, form=cap_form())


def test_an_operator_is_a_verified_legal_person_and_never_a_department(store: Store) -> None:
    entitled(store, MANDATOR, DEPARTMENT)
    for operator in (DEPARTMENT.own_org, MANDATOR.own_org, "pty_nobody"):
        with pytest.raises(Invalid) as refused:
            do(store, actions.draft_mandate, MANDATOR, operator_id=operator, agreement=agreement())
        assert [fault.rule for fault in refused.value.faults] == ["mandate.operator"]


def test_more_than_five_years_and_redelegation_are_refused(store: Store) -> None:
    entitled(store, MANDATOR, PROVIDER)
    wrong = agreement(last_day=civil(365 * 6), redelegation=True)
    with pytest.raises(Invalid) as refused:
        do(store, actions.draft_mandate, MANDATOR, operator_id=PROVIDER.own_org, agreement=wrong)
    assert {fault.rule for fault in refused.value.faults} == {"mandate.years", "mandate.redelegation"}


def test_an_edit_changes_the_hash_and_only_a_draft_is_edited(store: Store) -> None:
    mandate = drafted_mandate(store)
    edited = do(store, actions.edit_mandate, MANDATOR, mandate.id, agreement=agreement(title="另一份协议"))
    assert edited.sha256 != mandate.sha256
    noticed = noticed_mandate(store)
    with pytest.raises(WrongState):
        do(store, actions.edit_mandate, MANDATOR, noticed.id, agreement=agreement())
    taken = do(store, actions.take_back_notice, MANDATOR, noticed.id, reason="异议成立，重新起草")
    assert taken.state is MandateState.DRAFT


def test_a_draft_is_not_public_and_a_notice_is(store: Store) -> None:
    draft, noticed = drafted_mandate(store), noticed_mandate(store)
    with store.view() as view:
        for reader in (None, BUYER):
            assert queries.mandate(view, reader, noticed.id).id == noticed.id
            with pytest.raises(MandateNotFound):
                queries.mandate(view, reader, draft.id)
            assert draft.id not in {row.id for row in queries.mandates(view, reader)}
        for reader in (MANDATOR, PROVIDER, COMPLIANCE, AUDITOR):
            assert queries.mandate(view, reader, draft.id).id == draft.id


def test_the_clock_begins_and_ends_a_mandate(store: Store) -> None:
    mandate = signed_mandate(store, first_day=civil(5), last_day=civil(10))
    assert state(store, mandate) is MandateState.SIGNED
    with pytest.raises(Invalid), store.unit("system:clock") as unit:
        holding.begin_mandate(unit, mandate.id)
    with clock.held(clock.now() + timedelta(days=6)):
        with store.view() as view:
            assert queries.to_begin(view, clock.now()) == [mandate.id]
        with store.unit("system:clock") as unit:
            holding.begin_mandate(unit, mandate.id)
        with pytest.raises(Invalid), store.unit("system:clock") as unit:
            holding.expire_mandate(unit, mandate.id)
    with clock.held(clock.now() + timedelta(days=12)):
        with store.view() as view:
            assert queries.to_expire(view, clock.now()) == [mandate.id]
            nothing = queries.covering(view, operator_id=PROVIDER.own_org, resource=Resource(), purposes=())
            assert nothing.mandate is None  # before the clock came by
        with store.unit("system:clock") as unit:
            holding.expire_mandate(unit, mandate.id)
    assert state(store, mandate) is MandateState.EXPIRED


def test_suspension_termination_and_handover(store: Store) -> None:
    mandate = signed_mandate(store)
    do(store, holding.suspend_mandate, MANDATOR, mandate.id, reason="安全检查期间暂停")
    with store.view() as view:
        cover = queries.covering(view, operator_id=PROVIDER.own_org, resource=Resource(), purposes=())
    assert cover.mandate is None
    do(store, holding.resume_mandate, MANDATOR, mandate.id, reason="整改完成，恢复")
    with pytest.raises(Invalid):
        do(store, holding.terminate_mandate, MANDATOR, mandate.id, reason="")
    with pytest.raises(Forbidden):
        do(store, holding.terminate_mandate, PROVIDER, mandate.id, reason="我方终止")
    do(store, holding.terminate_mandate, MANDATOR, mandate.id, reason="严重违约，终止授权")
    with pytest.raises(Invalid):
        do(store, actions.hand_over, MANDATOR, mandate.id, note="好")
    do(store, actions.hand_over, MANDATOR, mandate.id, note="全部数据与接口移交市大数据中心，副本已销毁")
    with pytest.raises(WrongState):
        do(store, holding.resume_mandate, MANDATOR, mandate.id, reason="不可能恢复")
    assert state(store, mandate) is MandateState.HANDED_OVER


def test_an_assessment_is_given_once_a_year(store: Store) -> None:
    mandate = signed_mandate(store)
    year = civil().year
    do(store, actions.assess, MANDATOR, mandate.id, year=year, verdict=Assessed.GOOD, note="履约良好")
    with pytest.raises(Conflict):
        do(store, actions.assess, MANDATOR, mandate.id, year=year, verdict=Assessed.FAILED, note="再评一次")
    with pytest.raises(Invalid):
        do(store, actions.assess, MANDATOR, mandate.id, year=year + 1, verdict=Assessed.GOOD, note="尚未开始")


# ------------------------------------------------------------------ ceilings


def test_one_ceiling_holds_at_a_time(store: Store) -> None:
    first = ceiling(store, "car-parks", ChargeUnit.CALL, "0.5")
    with pytest.raises(CeilingOverlaps) as overlap:
        ceiling(store, "car-parks", ChargeUnit.CALL, "0.6", first_day=civil(100))
    assert overlap.value.members["ceiling"] == first.id
    ceiling(store, "car-parks", ChargeUnit.ROW, "0.003")
    ceiling(store, "other-parks", ChargeUnit.CALL, "9")
    with store.view() as view:
        assert {str(each.unit): str(each.max_fen) for each in queries.limits(view, "car-parks")} == {
            "call": "50", "row": "3/10",
        }  # fmt: skip


def test_a_ceiling_replaces_the_one_before_on_its_first_day(store: Store) -> None:
    from market.mandates.prices import CeilingForm

    first = ceiling(store, "car-parks", ChargeUnit.CALL, "0.5")
    form = CeilingForm(
        product="car-parks", unit=ChargeUnit.CALL, max_yuan="0.4", decided_by="发改委", document_no="2 号",
        first_day=civil(20), last_day=civil(400),
    )  # fmt: skip
    do(store, pricing.set_ceiling, MANDATOR, form=form, replaces=first.id)
    with store.view() as view:
        seen = [
            str(queries.limits(view, "car-parks", clock.now() + timedelta(days=days))[0].max_fen)
            for days in (0, 19, 21)
        ]
    assert seen == ["50", "50", "40"]
    with pytest.raises(NotFound):
        do(store, pricing.set_ceiling, MANDATOR, form=form, replaces="cei_nothing")


def test_a_ceiling_ends_by_its_bureau_only(store: Store) -> None:
    row = ceiling(store, "car-parks", ChargeUnit.CALL, "0.5")
    other = Actor("usr_m2", "pty_bureau2", frozenset({Role.MANDATOR}), OrgKind.DATA_BUREAU)
    with pytest.raises(NotFound):
        do(store, pricing.end_ceiling, other, row.id, reason="不是本机构核定")
    do(store, pricing.end_ceiling, MANDATOR, row.id, reason="成本监审后重新定价")
    with store.view() as view:
        assert queries.limits(view, "car-parks") == []


def test_two_ceilings_at_once_one_is_told(store: Store) -> None:
    entitled(store, MANDATOR)
    outcomes: list[str] = []
    gate = threading.Barrier(2)

    def work(most: str) -> None:
        gate.wait()
        try:
            ceiling(store, "car-parks", ChargeUnit.CALL, most)
            outcomes.append("set")
        except Conflict:
            outcomes.append("told")

    threads = [threading.Thread(target=work, args=(most,)) for most in ("1", "2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["set", "told"]
    with store.view() as view:
        assert len(queries.limits(view, "car-parks")) == 1


# ------------------------------------------------------------------ caps


def cap_form(year: int = 2026, cap_fen: int = 1000_00, **changes: Any) -> CapForm:
    plain: dict[str, Any] = {
        "operator_id": PROVIDER.own_org,
        "first_day": f"{year}-01-01",
        "last_day": f"{year}-12-31",
        "cap_fen": cap_fen,
        "decided_by": "青岛市发展和改革委员会",
        "document_no": "青发改价〔2026〕2 号",
    }
    return CapForm(**(plain | changes))


def licensed(store: Store, license_id: str = "lic_1") -> None:
    mandate = signed_mandate(store)
    with store.unit("system:test") as unit:
        actions.bind_license(unit, license_id=license_id, product_id="prd_1", mandate=mandate)


def booked(store: Store, invoice: str, period: str, fen: int, license_id: str = "lic_1") -> None:
    with store.unit("system:test") as unit:
        made = pricing.book_revenue(
            unit, license_id=license_id, invoice_id=invoice, period=period, amount_fen=fen
        )
        if made is None:
            unit.record("test.nothing", "invoice:1")


def shown(store: Store) -> list[tuple[int, int, int, CapStep]]:
    with store.view() as view:
        rows: list[RevenueCap] = sorted(queries.caps(view, MANDATOR), key=lambda row: row.first_day)
    return [(row.first_day.year, row.collected_fen, row.carried_fen, row.step) for row in rows]


def test_revenue_warns_stops_and_is_carried_over(store: Store) -> None:
    licensed(store)
    for year in (2026, 2027, 2028):
        do(store, pricing.set_cap, MANDATOR, form=cap_form(year))
    booked(store, "inv_1", "2026-01", 799_99)
    assert shown(store)[0] == (2026, 799_99, 0, CapStep.BELOW)
    booked(store, "inv_2", "2026-02", 1)
    assert shown(store)[0][3] is CapStep.WARNED
    booked(store, "inv_2", "2026-02", 1)  # twice is once
    booked(store, "inv_3", "2026-12", 1500_00)
    assert shown(store) == [
        (2026, 2300_00, 0, CapStep.STOPPED),
        (2027, 0, 1300_00, CapStep.STOPPED),
        (2028, 0, 300_00, CapStep.BELOW),
    ]
    booked(store, "inv_4", "2026-12", -1500_00)  # its credit note
    assert shown(store) == [
        (2026, 800_00, 0, CapStep.WARNED),
        (2027, 0, 0, CapStep.BELOW),
        (2028, 0, 0, CapStep.BELOW),
    ]


def test_revenue_before_the_cap_was_set_counts(store: Store) -> None:
    licensed(store)
    booked(store, "inv_1", "2026-03", 1000_00)
    booked(store, "inv_2", "2027-03", 5_00)
    do(store, pricing.set_cap, MANDATOR, form=cap_form())
    assert shown(store) == [(2026, 1000_00, 0, CapStep.STOPPED)]


def test_other_licenses_never_count(store: Store) -> None:
    licensed(store)
    do(store, pricing.set_cap, MANDATOR, form=cap_form())
    booked(store, "inv_1", "2026-03", 1000_00, license_id="lic_of_an_enterprise")
    assert shown(store) == [(2026, 0, 0, CapStep.BELOW)]


def test_periods_are_whole_months_that_do_not_overlap(store: Store) -> None:
    entitled(store, MANDATOR, PROVIDER)
    do(store, pricing.set_cap, MANDATOR, form=cap_form())
    with pytest.raises(CapOverlaps):
        do(store, pricing.set_cap, MANDATOR, form=cap_form(first_day="2026-06-01", last_day="2027-05-31"))
    with pytest.raises(Invalid) as refused:
        do(store, pricing.set_cap, MANDATOR, form=cap_form(2027, last_day="2027-12-30", decided_by=""))
    assert {fault.field for fault in refused.value.faults} == {"last_day", "decided_by"}


def test_two_invoices_at_once_are_both_counted(store: Store) -> None:
    licensed(store)
    do(store, pricing.set_cap, MANDATOR, form=cap_form())
    gate = threading.Barrier(4)

    def work(number: int) -> None:
        gate.wait()
        booked(store, f"inv_{number}", "2026-05", 10_00)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown(store)[0][1] == 40_00
