"""A secrecy review is given by somebody of another organization, for the very contents it was asked for."""

import pytest
from sqlmodel import select

from market.identity.problems import Forbidden, OwnDecision
from market.identity.rules import Actor, OrgKind, Role
from market.policy.grading import Degree, FieldFacts, Harmed, WholeFacts
from market.policy.inputs import DataGrade, OpenAttr, PersonalInfo, Secrecy, SupplyKind
from market.registry.tables import Asset
from market.screening import actions, queries
from market.screening.problems import ReviewWaiting
from market.screening.tables import SecrecyReview
from storage.journal import Entry
from storage.kernel.problem import Invalid, NotFound, WrongState
from storage.unit import Store
from tests.market.assets import drafted, registered
from tests.market.people import APPROVER, COMPLIANCE, OTHER_PROVIDER, PROVIDER

STATEMENT = "自查不含国家秘密与工作秘密"


def asked(store: Store, asset: Asset, actor: Actor = PROVIDER) -> SecrecyReview:
    with store.unit(actor.id, actor.org) as unit:
        return actions.ask_review(unit, actor, asset.id, statement=STATEMENT, personal=False, export=False)


def reviewed(
    store: Store, review: SecrecyReview, by: Actor = COMPLIANCE, *, passing: bool = True
) -> SecrecyReview:
    with store.unit(by.id, by.org) as unit:
        return actions.review_secrecy(
            unit, by, review.id, passing=passing, reason="内容可以提供", evidence="审查表 1 号"
        )


def secrecy(store: Store, asset: Asset) -> Secrecy:
    with store.view() as view:
        return queries.screened(view, asset).secrecy


def test_public_data_waits_until_another_person_has_passed_it(store: Store) -> None:
    asset = registered(store, screened=False)
    assert secrecy(store, asset) is Secrecy.PENDING
    review = asked(store, asset)
    assert secrecy(store, asset) is Secrecy.PENDING
    with pytest.raises(ReviewWaiting):
        asked(store, asset)
    done = reviewed(store, review)
    assert (done.state, done.reviewed_by, secrecy(store, asset)) == (
        Secrecy.PASSED,
        COMPLIANCE.id,
        Secrecy.PASSED,
    )
    with pytest.raises(WrongState):
        reviewed(store, review)
    with store.view() as view:
        kinds = view.session.exec(select(Entry.kind).where(Entry.subject == f"asset:{asset.id}")).all()
    assert {"secrecy.asked", "secrecy.passed"} <= set(kinds)


def test_a_refusal_holds_and_may_be_asked_again(store: Store) -> None:
    asset = registered(store, screened=False)
    reviewed(store, asked(store, asset), passing=False)
    assert secrecy(store, asset) is Secrecy.REFUSED
    reviewed(store, asked(store, asset))
    assert secrecy(store, asset) is Secrecy.PASSED


def test_nobody_reviews_what_their_own_organization_asked(store: Store) -> None:
    asset = registered(store, screened=False)
    review = asked(store, asset)
    insider = Actor("usr_i", PROVIDER.org, frozenset({Role.COMPLIANCE}), OrgKind.MARKET_OPERATOR)
    twofold = Actor(
        "usr_t",
        "pty_x",
        frozenset({Role.COMPLIANCE}),
        OrgKind.MARKET_OPERATOR,
        orgs=frozenset({PROVIDER.own_org}),
    )
    for actor in (insider, twofold):
        with pytest.raises(OwnDecision):
            reviewed(store, review, actor)
        with store.view() as view:
            assert queries.waiting(view, actor) == []
    for actor in (APPROVER, PROVIDER):
        with pytest.raises(Forbidden):
            reviewed(store, review, actor)
    with store.view() as view:
        assert [row.id for row, _asset in queries.waiting(view, COMPLIANCE)] == [review.id]


def test_a_pass_names_its_papers_and_a_request_its_answers(store: Store) -> None:
    asset = registered(store, screened=False)
    with pytest.raises(Invalid) as refusal, store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.ask_review(unit, PROVIDER, asset.id, statement="短", personal=None, export=None)
    assert {fault.field for fault in refusal.value.faults} == {"statement", "personal", "export"}
    review = asked(store, asset)
    with pytest.raises(Invalid) as refusal, store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        actions.review_secrecy(unit, COMPLIANCE, review.id, passing=True, reason="", evidence="")
    assert {fault.field for fault in refusal.value.faults} == {"reason", "evidence"}


def test_a_foreign_asset_is_not_there(store: Store) -> None:
    asset = drafted(store)
    with pytest.raises(NotFound):
        asked(store, asset, OTHER_PROVIDER)
    with pytest.raises(NotFound), store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        actions.grade_asset(unit, OTHER_PROVIDER, asset.id, fields=[], whole=WholeFacts())


def test_enterprise_data_without_persons_needs_none(store: Store) -> None:
    asset = registered(store, screened=False, supply=SupplyKind.ENTERPRISE)
    assert secrecy(store, asset) is Secrecy.NOT_NEEDED


def test_the_higher_of_declared_and_derived_grade_counts(store: Store) -> None:
    asset = registered(store, screened=False)
    harms = dict.fromkeys(Harmed, Degree.NONE) | {Harmed.PERSON: Degree.SERIOUS}
    fields = [FieldFacts("lot_id", harms, PersonalInfo.NONE)]
    whole = WholeFacts(SupplyKind.PUBLIC, OpenAttr.UNCONDITIONAL, 0, fused=False)
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        row, _found = actions.grade_asset(unit, PROVIDER, asset.id, fields=fields, whole=whole)
    assert row.grade is DataGrade.G3
    with store.view() as view:
        assert queries.screened(view, asset).grade is DataGrade.G3
