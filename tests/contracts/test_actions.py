from datetime import UTC, datetime, timedelta

import pytest
from joserfc.jwk import OKPKey
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from contracts import actions, queries
from contracts.detached import key_id
from contracts.problems import (
    ContractNotFound,
    ContractTextDiffers,
    LicenseNotFound,
    OfferExceeded,
    SignerUnknown,
)
from contracts.rules import ContractState, LicenseState
from contracts.signatures import verify
from contracts.tables import Contract, License
from contracts.terms import Terms
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.numbers import has_valid_check
from storage.kernel.problem import Invalid, WrongState
from storage.unit import Store
from tests.contracts.samples import SLOTS, commercial, open_terms, provision
from tests.contracts.test_offers import offer

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)


def drafted(store: Store, terms: Terms | None = None) -> Contract:
    with store.unit("usr_1") as unit:
        return actions.draft_contract(unit, provision(), terms or commercial(), SLOTS)


def accepted(store: Store) -> Contract:
    contract = drafted(store)
    with store.unit("usr_seller") as unit:
        actions.accept_offer(unit, contract.id, contract.content_hash, by="usr_seller", offer=offer())
    with store.unit("usr_buyer", org="pty_buyer") as unit:
        return actions.accept_contract(unit, contract.id, contract.content_hash, by="usr_buyer")


def active(store: Store) -> License:
    contract = accepted(store)
    with clock.held(NOW), store.unit("system:trading") as unit:
        issued = actions.issue_license(unit, contract.frozen_terms(), contract_id=contract.id)
        actions.activate_license(unit, issued.id)
        return issued


def kinds(store: Store, subject: str) -> list[str]:
    with store.view() as view:
        found = view.session.exec(select(Entry).where(Entry.subject == subject)).all()
    return [entry.kind for entry in sorted(found, key=lambda entry: entry.id)]


def test_a_contract_from_draft_to_witness(store: Store) -> None:
    key = OKPKey.generate_key("Ed25519")
    contract = accepted(store)
    with store.unit("system:witness") as unit:
        actions.witness_contract(unit, contract.id, key)
    with store.unit("system:print") as unit:
        actions.attach_pdf(unit, contract.id, "a" * 64)
    with store.view() as view:
        kept = queries.contract_by_number(view, contract.number)
    assert kept.state is ContractState.EFFECTIVE
    assert has_valid_check(kept.number)
    assert kept.content["number"] == kept.number
    assert kept.offer_hash == offer().hash
    verdict = verify(kept.document, {key_id(key): key})
    assert verdict.genuine
    assert verdict.content_hash == kept.content_hash
    assert kinds(store, f"contract:{contract.id}") == [
        "contract.drafted",
        "contract.offered",
        "contract.accepted",
        "contract.witnessed",
        "contract.printed",
    ]


def test_no_name_enters_the_journal(store: Store) -> None:
    accepted(store)
    with store.view() as view:
        written = str([entry.data for entry in view.session.exec(select(Entry)).all()])
    assert "青岛" not in written
    assert "王海" not in written


def test_numbers_run_without_gaps(store: Store) -> None:
    first = drafted(store)
    with pytest.raises(Invalid), store.unit("usr_1") as unit:
        actions.draft_contract(unit, provision(), commercial(), SLOTS | {"grade": "G9"})
    second = drafted(store)
    assert [int(contract.number.split("-")[3]) for contract in (first, second)] == [1, 2]


def test_only_the_exact_text_can_be_accepted(store: Store) -> None:
    contract = drafted(store)
    with pytest.raises(ContractTextDiffers) as refused, store.unit("usr_1") as unit:
        actions.accept_offer(unit, contract.id, "0" * 64, by="usr_1")
    assert refused.value.members["current"] == contract.content_hash
    with store.unit("usr_1") as unit:
        actions.accept_offer(unit, contract.id, contract.content_hash, by="usr_1")
    with pytest.raises(ContractTextDiffers), store.unit("usr_2") as unit:
        actions.accept_contract(unit, contract.id, "0" * 64, by="usr_2")
    with store.view() as view:
        assert queries.one_contract(view, contract.id).state is ContractState.PROVIDER_SIGNED


def test_a_standing_offer_does_not_stretch(store: Store) -> None:
    contract = drafted(store, commercial(term={"months": 24}))
    with pytest.raises(OfferExceeded) as refused, store.unit("usr_1") as unit:
        actions.accept_offer(unit, contract.id, contract.content_hash, by="usr_1", offer=offer())
    assert refused.value.members["differences"] == [{"zh": "期限", "en": "term"}]


def test_a_stranger_cannot_accept(store: Store) -> None:
    contract = drafted(store)
    with store.unit("usr_1") as unit:
        actions.accept_offer(unit, contract.id, contract.content_hash, by="usr_1")
    with pytest.raises(SignerUnknown), store.unit("usr_9", org="pty_other") as unit:
        actions.accept_contract(unit, contract.id, contract.content_hash, by="usr_9")


def test_the_order_of_acceptance_is_kept(store: Store) -> None:
    contract = drafted(store)
    with pytest.raises(WrongState), store.unit("usr_2") as unit:
        actions.accept_contract(unit, contract.id, contract.content_hash, by="usr_2")
    with pytest.raises(WrongState), store.unit("system:witness") as unit:
        actions.witness_contract(unit, contract.id, OKPKey.generate_key("Ed25519"))


def test_contracts_end(store: Store) -> None:
    first, second = drafted(store), accepted(store)
    with store.unit("usr_1") as unit:
        actions.void_contract(unit, first.id, reason="订单取消")
    with store.unit("usr_1") as unit:
        actions.terminate_contract(unit, second.id, reason="协商解除")
    with store.view() as view:
        states = {contract.state for contract in queries.contracts_of(view, "pty_buyer")}
    assert states == {ContractState.VOID, ContractState.TERMINATED}
    with pytest.raises(WrongState), store.unit("usr_1") as unit:
        actions.terminate_contract(unit, first.id, reason="再次")


def test_a_license_carries_the_terms_of_its_contract_to_the_gateway(store: Store) -> None:
    issued = active(store)
    with store.view() as view:
        kept = queries.one_license(view, issued.id)
    policy = queries.policy_of(kept)
    assert policy is not None
    assert policy.limit_calls == 100_000
    assert policy.serve_from == NOW
    assert policy.serve_until == kept.serve_until == datetime(2027, 3, 2, 16, tzinfo=UTC)
    assert kept.number.startswith("XK-2026-000001-")


def test_a_license_cannot_carry_other_terms_than_its_contract(store: Store) -> None:
    contract = accepted(store)
    with pytest.raises(Invalid), store.unit("system:trading") as unit:
        actions.issue_license(unit, commercial(prepay_fen=1), contract_id=contract.id)
    with pytest.raises(Invalid), store.unit("system:trading") as unit:
        actions.issue_license(unit, commercial())


def test_no_license_before_the_contract_takes_effect(store: Store) -> None:
    contract = drafted(store)
    with pytest.raises(WrongState), store.unit("system:trading") as unit:
        actions.issue_license(unit, commercial(), contract_id=contract.id)


def test_an_open_license_needs_no_contract_and_has_no_end(store: Store) -> None:
    buyer = commercial().document()["buyer"]
    with store.unit("system:trading") as unit:
        issued = actions.issue_license(unit, open_terms(buyer=buyer))
        assert queries.policy_of(issued) is None
        policy = actions.activate_license(unit, issued.id)
    assert policy.serve_until is None
    assert policy.price.free


def test_a_license_stops_resumes_and_ends(store: Store) -> None:
    license_id = active(store).id
    for verb, state in (
        (actions.suspend_license, LicenseState.SUSPENDED),
        (actions.resume_license, LicenseState.ACTIVE),
        (actions.revoke_license, LicenseState.REVOKED),
    ):
        with store.unit("usr_compliance") as unit:
            assert verb(unit, license_id, reason="超出约定用途（第三条）").state is state
    with pytest.raises(WrongState), store.unit("usr_compliance") as unit:
        actions.resume_license(unit, license_id, reason="再次")
    with store.view() as view:
        assert queries.one_license(view, license_id).ended_at is not None
        assert queries.licenses_open(view, "prd_sea") == []
    assert kinds(store, f"license:{license_id}")[-1] == "license.revoked"


def test_a_license_expires_when_its_term_is_over_and_not_before(store: Store) -> None:
    issued = active(store)
    assert issued.serve_until is not None
    with clock.held(issued.serve_until - timedelta(seconds=1)):
        with pytest.raises(Invalid), store.unit("system:clock") as unit:
            actions.expire_license(unit, issued.id)
        with store.view() as view:
            assert queries.licenses_due(view, clock.now()) == []
    with clock.held(issued.serve_until):
        with store.view() as view:
            assert [due.id for due in queries.licenses_due(view, clock.now())] == [issued.id]
        with store.unit("system:clock") as unit:
            assert actions.expire_license(unit, issued.id).state is LicenseState.EXPIRED


def test_a_license_can_be_terminated(store: Store) -> None:
    license_id = active(store).id
    with store.unit("usr_1") as unit:
        assert actions.terminate_license(unit, license_id, reason="协商").state is LicenseState.TERMINATED


def test_unknown_ids_are_not_found(store: Store) -> None:
    with pytest.raises(ContractNotFound), store.unit("usr_1") as unit:
        actions.void_contract(unit, "con_none", reason="x")
    with pytest.raises(LicenseNotFound), store.unit("usr_1") as unit:
        actions.revoke_license(unit, "lic_none", reason="x")


def test_the_database_itself_refuses_what_must_not_be(store: Store) -> None:
    with pytest.raises(IntegrityError, match="public_good_is_free"), store.unit("usr_1") as unit:
        issued = actions.issue_license(unit, open_terms(buyer=commercial().document()["buyer"]))
        issued.prepay_fen = 1
    with pytest.raises(IntegrityError, match="commercial_has_contract"), store.unit("usr_1") as unit:
        issued = actions.issue_license(unit, commercial(price={}, prepay_fen=0))
    contract = drafted(store)
    with (
        pytest.raises(IntegrityError, match=r"buyer_accepted|provider_accepted"),
        store.unit("usr_1") as unit,
    ):
        row = unit.session.get(Contract, contract.id)
        assert row is not None
        row.state = ContractState.EFFECTIVE
        unit.session.add(row)
        unit.record("contract.forged", "contract:x")
