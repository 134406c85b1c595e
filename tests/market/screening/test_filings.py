"""Papers outside the market decide a tier only after somebody else has checked them, and only while they last."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlmodel import select

from contracts.terms import Purpose
from market.catalogue.facts import evidenced, facts_of
from market.catalogue.tables import Product
from market.identity.problems import Forbidden, OwnDecision
from market.identity.rules import Actor, OrgKind, Role, Verification
from market.identity.tables import Party
from market.policy.engine import decide
from market.policy.inputs import DataGrade, Inputs
from market.policy.reading import built_in
from market.registry import actions as registry
from market.registry import notices
from market.registry.queries import source_of_product
from market.registry.settings import RegistrySettings
from market.registry.tables import Asset
from market.screening import filings
from market.screening.problems import PaperFiled
from market.screening.rules import FilingKind, FilingState, day_of, filing_faults
from market.screening.tables import AssetFiling
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.problem import Invalid, NotFound, WrongState
from storage.unit import Store
from tests.market.assets import registered, reviewed, stored, submitted
from tests.market.people import AUDITOR, BUYER, COMPLIANCE, OTHER_PROVIDER, PROVIDER, REGISTRAR
from tests.market.products import drafted_product

DATED = date(2026, 10, 1)


def filed(
    store: Store, asset: Asset, kind: FilingKind = FilingKind.RISK_ASSESSMENT, **changes: object
) -> AssetFiling:
    said = {"number": "鲁数评〔2026〕12号", "authority": "省数据主管部门", "dated": DATED} | changes
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        return filings.file_paper(unit, PROVIDER, asset.id, kind=kind, **said)  # type: ignore[arg-type]


def checked(store: Store, filing: AssetFiling, by: Actor = COMPLIANCE, *, accept: bool = True) -> AssetFiling:
    with store.unit(by.id, by.org) as unit:
        return filings.check_filing(unit, by, filing.id, accept=accept, reason="与原件核对一致")


def facts(store: Store, product: Product) -> Inputs:
    with store.view() as view:
        asset = source_of_product(view, product.asset_id, product.provider_id)
        return facts_of(view, product, asset, [], Purpose.INDUSTRY, provider_kind=OrgKind.STATE_DATA_COMPANY)


def rules_against(store: Store, product: Product) -> set[tuple[str, str]]:
    return {(hit.rule, hit.part) for hit in decide(facts(store, product), built_in()).hits}


def test_a_risk_assessment_counts_once_another_has_checked_it(store: Store) -> None:
    asset = registered(store, grade=DataGrade.IMPORTANT)
    product = drafted_product(store, asset_id=asset.id)
    assert facts(store, product).risk_assessment is False
    paper = filed(store, asset)
    assert facts(store, product).risk_assessment is False, "what nobody has checked is nothing yet"
    insider = Actor("usr_i", PROVIDER.org, frozenset({Role.COMPLIANCE}), OrgKind.MARKET_OPERATOR)
    with pytest.raises(OwnDecision):
        checked(store, paper, insider)
    assert checked(store, paper).state is FilingState.IN_FORCE
    assert facts(store, product).risk_assessment is True
    with pytest.raises(WrongState):
        checked(store, paper)
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        filings.end_filing(unit, PROVIDER, paper.id, reason="评估范围已变化")
    assert facts(store, product).risk_assessment is False
    with store.view() as view:
        kinds = view.session.exec(
            select(Entry.kind).where(Entry.subject == f"asset:{asset.id}", Entry.kind.startswith("filing"))
        ).all()
    assert sorted(kinds) == ["filing.accepted", "filing.ended", "filing.filed"]


def test_a_refused_or_expired_paper_is_none(store: Store) -> None:
    asset = registered(store)
    product = drafted_product(store, asset_id=asset.id)
    assert checked(store, filed(store, asset), accept=False).state is FilingState.REFUSED
    assert facts(store, product).risk_assessment is False
    today = clock.now().date()
    paper = checked(store, filed(store, asset, valid_until=today + timedelta(days=1)))
    assert facts(store, product).risk_assessment is True
    with store.unit("system:test") as unit:
        row = unit.session.get_one(AssetFiling, paper.id)
        row.valid_until = today - timedelta(days=2)
        unit.session.add(row)
        unit.record("filing.ended", f"asset:{asset.id}")
    assert facts(store, product).risk_assessment is False


def test_an_impact_assessment_is_a_paper_and_not_a_sentence(store: Store) -> None:
    asset = registered(store, contains_pi=True, pi_basis="单独同意", grade=DataGrade.G3)
    product = drafted_product(store, asset_id=asset.id)
    before = facts(store, product)
    assert (before.consent, before.pia) == (True, False)
    assert ("T05", "") in rules_against(store, product)
    checked(store, filed(store, asset, FilingKind.IMPACT_ASSESSMENT))
    assert facts(store, product).pia is True
    assert ("T05", "") not in rules_against(store, product)


def test_a_noted_dispute_denies_until_it_is_settled(store: Store) -> None:
    asset = registered(store)
    product = drafted_product(store, asset_id=asset.id)
    assert ("T03", "dispute") not in rules_against(store, product)
    said = {"number": "(2026)鲁02民初88号", "authority": "青岛中院", "dated": DATED}
    for stranger in (PROVIDER, AUDITOR):
        with pytest.raises(Forbidden), store.unit(stranger.id, stranger.org) as unit:
            filings.note_dispute(unit, stranger, asset.number or "", **said)  # type: ignore[arg-type]
    with store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        noted = filings.note_dispute(unit, COMPLIANCE, asset.number or "", **said)  # type: ignore[arg-type]
    assert ("T03", "dispute") in rules_against(store, product)
    with pytest.raises(PaperFiled), store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        filings.note_dispute(unit, COMPLIANCE, asset.number or "", **said)  # type: ignore[arg-type]
    with pytest.raises(NotFound), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        filings.end_filing(unit, PROVIDER, noted.id, reason="我们认为已解决")
    with store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        assert [row.id for row, _ in filings.disputes(unit, COMPLIANCE)] == [noted.id]
        filings.end_filing(unit, COMPLIANCE, noted.id, reason="判决已生效，权属无争议")
    assert ("T03", "dispute") not in rules_against(store, product)


def test_an_open_objection_is_a_dispute(store: Store) -> None:
    asset = submitted(store)
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        reviewed(unit, asset.id)
        notice = registry.publish_asset(
            unit, REGISTRAR, asset.id, reason="审核通过，予以公示", office=RegistrySettings()
        )
    today = day_of(clock.now())
    with store.view() as view:
        assert filings.in_dispute(view, asset.id, today) is False
    with store.unit(BUYER.id, BUYER.org) as unit:
        objection = notices.raise_objection(
            unit,
            BUYER,
            notice.number,
            statement="该数据由我单位采集，登记主体并无授权，详见所附协议。",
            evidence=[("协议.pdf", stored("deal"))],
            office=RegistrySettings(),
        )
    with store.view() as view:
        assert filings.in_dispute(view, asset.id, today) is True
    with clock.held(objection.answer_until), store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        notices.dismiss_objection(
            unit, REGISTRAR, objection.id, reason="经核查不成立", office=RegistrySettings()
        )
    with store.view() as view:
        assert filings.in_dispute(view, asset.id, today) is False


def test_only_the_owner_files_and_what_is_wrong_is_named(store: Store) -> None:
    asset = registered(store)
    with pytest.raises(NotFound), store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        filings.file_paper(
            unit,
            OTHER_PROVIDER,
            asset.id,
            kind=FilingKind.RISK_ASSESSMENT,
            number="12 号",
            authority="机关",
            dated=DATED,
        )
    with pytest.raises(Invalid) as refusal:
        filed(store, asset, FilingKind.DISPUTE)
    assert [fault.field for fault in refusal.value.faults] == ["kind"]
    today = date(2026, 11, 22)
    wrong = filing_faults(
        None,
        number="?",
        authority="",
        dated=today + timedelta(days=1),
        until=today - timedelta(days=1),
        today=today,
    )
    assert [fault.field for fault in wrong] == ["kind", "number", "authority", "dated", "valid_until"]
    assert not filing_faults(
        FilingKind.DISPUTE,
        number="(2026)鲁02民初88号",
        authority="法院",
        dated=today,
        until=today,
        today=today,
    )


def test_an_unverified_provider_is_refused_and_an_unknown_one_looked_at(store: Store) -> None:
    product = drafted_product(store)
    assert facts(store, product).provider_verified is True
    with store.unit("system:test") as unit:
        owner = unit.session.get_one(Party, PROVIDER.own_org)
        owner.verification = Verification.REJECTED
        unit.session.add(owner)
        unit.record("party.rejected", f"party:{owner.id}")
    assert facts(store, product).provider_verified is False
    assert ("T04", "provider") in rules_against(store, product)


def test_a_discount_is_for_verified_buyers_only(store: Store) -> None:
    given = facts(store, drafted_product(store))
    assert given.eligible is False
    assert evidenced(given, {"eligible": True}).eligible is True
    assert evidenced(replace(given, buyer_verified=False), {"eligible": True}).eligible is False
