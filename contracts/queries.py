"""Reads: contracts and licenses by id, number, party and what is due."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from contracts.policy import Policy, policy_between
from contracts.problems import ContractNotFound, LicenseNotFound
from contracts.rules import LicenseState
from contracts.tables import Contract, License
from storage.unit import View


def one_contract(view: View, contract_id: str, *, party_id: str | None = None) -> Contract:
    """One contract. With `party_id`, only if that party signs it. Raises ContractNotFound."""
    found = view.session.get(Contract, contract_id)
    if found is None or (party_id is not None and party_id not in (found.seller_id, found.buyer_id)):
        raise ContractNotFound(contract=contract_id)
    return found


def contract_by_number(view: View, number: str) -> Contract:
    """One contract by its printed number. Raises ContractNotFound."""
    found = view.session.exec(select(Contract).where(Contract.number == number)).first()
    if found is None:
        raise ContractNotFound(number=number)
    return found


def contracts_of(
    view: View, party_id: str, *, limit: int = 50, before: str | None = None
) -> Sequence[Contract]:
    """Contracts a party signs, newest first. `before`: the last id of the previous page."""
    wanted = select(Contract).where(or_(Contract.buyer_id == party_id, Contract.seller_id == party_id))
    if before:
        wanted = wanted.where(col(Contract.id) < before)
    return view.session.exec(wanted.order_by(col(Contract.id).desc()).limit(limit)).all()


def one_license(view: View, license_id: str, *, party_id: str | None = None) -> License:
    """One license. With `party_id`, only if that party holds or grants it. Raises LicenseNotFound."""
    found = view.session.get(License, license_id)
    if found is None or (party_id is not None and party_id not in (found.seller_id, found.buyer_id)):
        raise LicenseNotFound(license=license_id)
    return found


def licenses_held(
    view: View,
    buyer_id: str,
    *,
    state: LicenseState | None = None,
    limit: int = 50,
    before: str | None = None,
) -> Sequence[License]:
    """Licenses a buyer holds, newest first. `before`: the last id of the previous page."""
    return _newest(view, select(License).where(License.buyer_id == buyer_id), state, limit, before)


def licenses_granted(
    view: View,
    seller_id: str,
    *,
    state: LicenseState | None = None,
    limit: int = 50,
    before: str | None = None,
) -> Sequence[License]:
    """Licenses a provider granted, newest first. `before`: the last id of the previous page."""
    return _newest(view, select(License).where(License.seller_id == seller_id), state, limit, before)


def licenses_all(
    view: View, *, state: LicenseState | None = None, limit: int = 50, before: str | None = None
) -> Sequence[License]:
    """Every license, newest first, for those who oversee the market. `before`: the last id of the previous page."""
    return _newest(view, select(License), state, limit, before)


def _newest(
    view: View, wanted: SelectOfScalar[License], state: LicenseState | None, limit: int, before: str | None
) -> Sequence[License]:
    if state:
        wanted = wanted.where(License.state == state)
    if before:
        wanted = wanted.where(col(License.id) < before)
    return view.session.exec(wanted.order_by(col(License.id).desc()).limit(limit)).all()


def licenses_open(view: View, product_id: str) -> Sequence[License]:
    """Licenses of a product that have not ended: those a take-down must name."""
    alive = (LicenseState.PENDING, LicenseState.ACTIVE, LicenseState.SUSPENDED)
    wanted = select(License).where(License.product_id == product_id, col(License.state).in_(alive))
    return view.session.exec(wanted.order_by(col(License.id))).all()


def licenses_due(view: View, at: datetime, *, limit: int = 500) -> Sequence[License]:
    """Licenses whose term is over at `at` but not yet noted as expired, the longest overdue first."""
    running = (LicenseState.ACTIVE, LicenseState.SUSPENDED)
    wanted = select(License).where(col(License.serve_until) <= at, col(License.state).in_(running))
    return view.session.exec(wanted.order_by(col(License.serve_until)).limit(limit)).all()


def licenses_in_force(view: View) -> Sequence[License]:
    """Every license that opens the door or is only suspended, in order."""
    running = (LicenseState.ACTIVE, LicenseState.SUSPENDED)
    return view.session.exec(
        select(License).where(col(License.state).in_(running)).order_by(col(License.id))
    ).all()


def policy_of(held: License) -> Policy | None:
    """网关规则. What the gateway enforces for a license, from its frozen terms; None before activation."""
    if held.serve_from is None:
        return None
    return policy_between(held.frozen_terms(), held.serve_from, held.serve_until)
