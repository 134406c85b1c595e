"""服务期限 Until when a license is served: as long as agreed, cut short by its registration and its mandate."""

from datetime import datetime

from sqlmodel import col, select

from contracts import actions as contracts
from contracts.queries import one_license
from contracts.rules import LicenseState
from contracts.tables import License
from contracts.terms import Purpose
from market.catalogue import queries as catalogue
from market.catalogue.grounds import mandated_until
from market.mandates import actions as mandating
from market.mandates import queries as mandates
from market.mandates.tables import Mandate, MandatedLicense
from metering import actions as metering
from metering.queries import gate as gate_of
from metering.words import Shut
from storage.unit import Unit, View

RUNNING = (LicenseState.ACTIVE, LicenseState.SUSPENDED)


def known_ends(
    view: View, product_id: str, purposes: tuple[Purpose, ...], mandate: Mandate | None
) -> dict[datetime, Shut]:
    """已知终点. Every end known in advance beside the agreed term, with what a caller is told from then on.

    A mandate that another one follows without a gap ends where the last of them does.
    """
    ends: dict[Shut, datetime | None] = {
        Shut.REGISTRATION_EXPIRED: catalogue.registered_until(view, product_id)
    }
    if mandate is not None:
        followed = mandated_until(view, product_id, purposes, bound=mandate.id)
        ends[Shut.MANDATE_EXPIRED] = followed or mandate.valid_until
    return {end: why for why, end in ends.items() if end is not None}


def settle_span(unit: Unit, license_id: str, zone: str) -> None:
    """重算服务期限. Serve a running license until the earliest of its term and the ends known now.

    Raises LicenseNotFound, NotFound without a gate.
    """
    held = one_license(unit, license_id)
    if held.state not in RUNNING:
        return
    bound = mandates.mandated(unit, license_id)
    mandate = unit.session.get(Mandate, bound.mandate_id) if bound else None
    ends = known_ends(unit, held.product_id, held.frozen_terms().purposes, mandate)
    until = contracts.extend_license(unit, license_id, zone=zone, ends=sorted(ends)).serve_until
    reason = ends.get(until) if until is not None else None
    door = gate_of(unit, license_id)
    if (door.serve_until, door.until_reason) != (until, reason):
        metering.extend_gate(unit, license_id, serve_until=until, until_reason=reason)


def settle_spans(unit: Unit, operator_id: str, zone: str) -> None:
    """重算运营机构各许可. The same for every running license issued under a mandate of this operator."""
    query = (
        select(MandatedLicense.license_id)
        .join(License, col(License.id) == col(MandatedLicense.license_id))
        .where(MandatedLicense.operator_id == operator_id, col(License.state).in_(RUNNING))
        .order_by(col(MandatedLicense.license_id))
    )
    for license_id in unit.session.exec(query).all():
        settle_span(unit, license_id, zone)


def carry_on(unit: Unit, license_id: str, mandate: Mandate) -> None:
    """改挂授权. Another mandate in force carries a license on; a refusal names that one from now on."""
    mandating.rebind_license(unit, license_id, mandate)
    metering.rebase_gate(unit, license_id, stands_on=mandate.number)
