"""Ready-made mandates, ceilings and lists for tests, taken through the same verbs the faces call."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import select

from contracts.terms import Purpose
from market.identity.rules import Actor, Verification
from market.identity.tables import Party
from market.lists import actions as lists
from market.lists.rules import Change, ChangeKind, Condition, Entry, ListKind
from market.lists.tables import ListEdit
from market.mandates import actions, pricing
from market.mandates.prices import CeilingForm, ChargeUnit
from market.mandates.rules import ZONE, Agreement, MandateState
from market.mandates.tables import Mandate, PriceCeiling
from market.trading import holding
from storage.kernel import clock
from storage.unit import Store
from tests.market.people import COMPLIANCE, MANDATOR, PROVIDER

REASON = "经审查符合要求"


def civil(days: int = 0) -> date:
    """A civil day so many days from today."""
    return clock.now().astimezone(ZONE).date() + timedelta(days=days)


def agreement(**changes: Any) -> Agreement:
    """An agreement the rules have nothing against: whole, all purposes, from last year for three years."""
    plain: dict[str, Any] = {
        "title": "公共数据授权运营协议",
        "purposes": tuple(Purpose),
        "first_day": civil(-100),
        "last_day": civil(900),
        "duties": "按季度更新，落实分级保护",
        "charging": "按上限收费标准收费，收益按累进档分配",
        "exit_terms": "期满移交数据与接口，销毁副本",
    }
    return Agreement(**(plain | changes))


def entitled(store: Store, *actors: Actor) -> None:
    """The actors' organizations as verified parties."""
    from tests.market.products import seated

    for actor in actors:
        seated(store, actor)
        with store.unit("system:test") as unit:
            owner = unit.session.get_one(Party, actor.own_org)
            if owner.verification is not Verification.VERIFIED:
                owner.verification = Verification.VERIFIED
                unit.session.add(owner)
                unit.record("party.verified", f"party:{owner.id}")


def drafted_mandate(store: Store, operator: Actor = PROVIDER, **changes: Any) -> Mandate:
    entitled(store, MANDATOR, COMPLIANCE, operator)
    with store.unit(MANDATOR.id, MANDATOR.org) as unit:
        return actions.draft_mandate(
            unit, MANDATOR, operator_id=operator.own_org, agreement=agreement(**changes)
        )


def noticed_mandate(store: Store, operator: Actor = PROVIDER, **changes: Any) -> Mandate:
    """Reviewed by two people, its public notice running."""
    mandate = drafted_mandate(store, operator, **changes)
    with store.unit(MANDATOR.id, MANDATOR.org) as unit:
        sent = actions.submit_mandate(
            unit, MANDATOR, mandate.id, minutes_no="青数纪〔2026〕1 号", minutes_on=civil()
        )
        assert sent.case_id is not None
    with store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        return actions.decide_mandate(unit, COMPLIANCE, sent.case_id, approve=True, reason=REASON)


def signed_mandate(
    store: Store, operator: Actor = PROVIDER, *, at: datetime | None = None, **changes: Any
) -> Mandate:
    """Signed and, when its term has begun, in force; the notice began a month before (`at` is the signing)."""
    signing = at or clock.now()
    with clock.held(signing - timedelta(days=30)):
        mandate = noticed_mandate(store, operator, **changes)
    with clock.held(signing), store.unit(operator.id, operator.org) as unit:
        return holding.sign_mandate(unit, operator, mandate.id, sha256=mandate.sha256)


def mandated(store: Store, operator: Actor = PROVIDER) -> None:
    """A mandate in force over everything, unless the operator has one."""
    with store.view() as view:
        held = view.session.exec(select(Mandate).where(Mandate.operator_id == operator.own_org)).all()
    if not any(row.state is MandateState.ACTIVE for row in held):
        signed_mandate(store, operator)


def ceiling(
    store: Store, product: str, unit: ChargeUnit, max_yuan: str = "100000", **changes: Any
) -> PriceCeiling:
    entitled(store, MANDATOR)
    form: dict[str, Any] = {
        "product": product,
        "unit": unit,
        "max_yuan": max_yuan,
        "decided_by": "青岛市发展和改革委员会",
        "document_no": "青发改价〔2026〕1 号",
        "first_day": civil(-10),
        "last_day": civil(700),
    }
    with store.unit(MANDATOR.id, MANDATOR.org) as opened:
        return pricing.set_ceiling(opened, MANDATOR, form=CeilingForm(**(form | changes)))


def sellable(store: Store, product: str, operator: Actor = PROVIDER) -> None:
    """Everything public data needs to be sold: a mandate, and a generous ceiling on every unit of charge."""
    mandated(store, operator)
    with store.view() as view:
        known = set(view.session.exec(select(PriceCeiling.unit).where(PriceCeiling.product == product)))
    for unit in set(ChargeUnit) - known:
        ceiling(store, product, unit)


def negative(condition: Condition | None = None, **changes: Any) -> Entry:
    """A negative entry the rules have nothing against."""
    plain: dict[str, Any] = {
        "title_zh": "居民逐户用电明细",
        "title_en": "Household electricity readings",
        "reason_zh": "可识别到户，涉及个人信息",
        "reason_en": "Identifies households",
        "law": "个人信息保护法",
        "article": "第 13 条",
        "effective_from": civil(-1),
        "review_on": civil(300),
        "condition": condition or Condition(words=("逐户用电",)),
    }
    return Entry(**(plain | changes))


def opened(**changes: Any) -> Entry:
    """An open entry the rules have nothing against."""
    plain: dict[str, Any] = {
        "title_zh": "公共停车场客流量",
        "title_en": "Car park visits",
        "reason_zh": "便民利民，开放为常态",
        "reason_en": "Useful to everybody; open by default",
        "law": "青岛市公共数据开放管理办法",
        "article": "第 12 条",
        "effective_from": civil(-1),
        "review_on": civil(300),
        "unit_name": "青岛市交通运输局",
        "resource": "370200-jt-0001",
        "open_attr": "U",
    }
    return Entry(**(plain | changes))


def proposed(
    store: Store, *changes: Change | Entry, kind: ListKind = ListKind.NEGATIVE, by: Actor = MANDATOR
) -> ListEdit:
    """An edit that waits for the second person; a bare entry is added."""
    entitled(store, MANDATOR, COMPLIANCE)
    asked = [Change(kind=ChangeKind.ADD, entry=each) if isinstance(each, Entry) else each for each in changes]
    with store.unit(by.id, by.org) as unit:
        return lists.propose_edit(unit, by, kind=kind, changes=asked, summary="例行修订")


def published(
    store: Store,
    *changes: Change | Entry,
    kind: ListKind = ListKind.NEGATIVE,
    by: Actor = MANDATOR,
    second: Actor = COMPLIANCE,
) -> ListEdit:
    """An edit approved by the second person: the next version of the list."""
    edit = proposed(store, *changes, kind=kind, by=by)
    assert edit.case_id is not None
    with store.unit(second.id, second.org) as unit:
        return holding.decide_list_edit(unit, second, edit.case_id, approve=True, reason=REASON)
