import pytest

from contracts import queries
from contracts.problems import ContractNotFound, LicenseNotFound
from contracts.rules import LicenseState
from storage.unit import Store
from tests.contracts.test_actions import active, drafted


def test_a_contract_is_seen_by_its_parties_only(store: Store) -> None:
    contract = drafted(store)
    with store.view() as view:
        for party in ("pty_seller", "pty_buyer", None):
            assert queries.one_contract(view, contract.id, party_id=party).id == contract.id
        with pytest.raises(ContractNotFound):
            queries.one_contract(view, contract.id, party_id="pty_other")
        with pytest.raises(ContractNotFound):
            queries.contract_by_number(view, "HT-2615-2026-999999-X")


def test_pages_of_contracts_follow_each_other(store: Store) -> None:
    made = [drafted(store).id for _ in range(3)]
    with store.view() as view:
        first = queries.contracts_of(view, "pty_seller", limit=2)
        rest = queries.contracts_of(view, "pty_seller", limit=2, before=first[-1].id)
        assert [c.id for c in [*first, *rest]] == made[::-1]
        assert queries.contracts_of(view, "pty_other") == []


def test_licenses_are_found_by_holder_and_state(store: Store) -> None:
    held = active(store)
    with store.view() as view:
        assert [found.id for found in queries.licenses_held(view, "pty_buyer")] == [held.id]
        assert queries.licenses_held(view, "pty_buyer", state=LicenseState.REVOKED) == []
        assert queries.licenses_held(view, "pty_buyer", before=held.id) == []
        assert [found.id for found in queries.licenses_open(view, "prd_sea")] == [held.id]
        with pytest.raises(LicenseNotFound):
            queries.one_license(view, held.id, party_id="pty_other")
