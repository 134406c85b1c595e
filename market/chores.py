"""定时事务 What time makes due, and the slow work a queue hands over. Each may run twice."""

from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.exc import SQLAlchemyError

from contracts.queries import licenses_due
from market import casework, records
from market.audit import actions as audit
from market.billing import actions as billing
from market.billing.queries import invoices_to_sign
from market.house import House
from market.identity import actions as identity
from market.identity import postman
from market.lists.queries import sweep_due
from market.mandates.queries import to_begin, to_expire
from market.refinery import actions as refinery
from market.refinery import cleanse as workshop
from market.refinery.queries import queued_runs
from market.registry.ending import registrations_due
from market.registry.queries import certificates_to_sign
from market.trading import actions as trading
from market.trading import holding, living, watching
from market.trading.queries import overdue, paid_but_waiting
from market.trading.registrations import expire_registration
from market.wiring import issue_certificate, sign_invoice
from metering.actions import forget_revoked
from metering.anomalies import findings, note_anomaly, strayed
from metering.keys import Seal, rotate_when_due
from metering.sealing import counted_hour, seal_hour, unsealed
from metering.thresholds import licenses_with_new_steps
from storage.kernel import clock
from storage.kernel.problem import Problem
from storage.objects import sweep
from storage.unit import Unit

log = structlog.get_logger()
PICK_UP_AFTER = timedelta(seconds=20)  # a queued run this old was lost by the broker


def at_start(house: House) -> None:
    """Put right what a killed process left. Only for an embedded market, where nobody else is at work."""
    house.sweep_scratch(timedelta(0))
    with house.store.unit("system:clock") as unit:
        refinery.requeue_lost_runs(unit)


def each_few_seconds(house: House) -> None:
    """Send waiting mail; pick up runs the queue lost."""
    postman.send_waiting(house.store, house.settings)
    with house.store.view() as view:
        lost = [run.id for run in queued_runs(view) if run.requested_at < clock.now() - PICK_UP_AFTER]
    for run_id in lost:
        house.send("refinery.cleanse", run_id)


def each_minute(house: House) -> None:
    """End what is overdue; put back the runs of dead machines."""
    with house.store.view() as view:
        registrations = registrations_due(view, clock.now())
        unsigned = certificates_to_sign(view)
        orders = overdue(view, clock.now())
        licenses = [row.id for row in licenses_due(view, clock.now())]
        paid = paid_but_waiting(view)
    for order_id in paid:
        _alone(house, lambda unit, i=order_id: trading.activate_order(unit, i, house.settings.timezone))  # type: ignore[misc]  # bound default
    for order_id in orders:
        _alone(house, lambda unit, i=order_id: trading.expire_order(unit, i))  # type: ignore[misc]  # bound default
    for license_id in licenses:  # before what they stand on, so that each ends with its own term
        _alone(house, lambda unit, i=license_id: trading.expire_license(unit, i))  # type: ignore[misc]  # bound default
    for asset_id in registrations:
        _alone(house, lambda unit, i=asset_id: expire_registration(unit, i))  # type: ignore[misc]  # bound default
    for certificate_id in unsigned:
        issue_certificate(house, certificate_id)
    with house.store.unit("system:clock") as unit:
        refinery.requeue_stale_runs(unit)
    chase_cases(house)
    sign_head(house)
    keep_grounds(house)
    watch_usage(house)


def sign_head(house: House) -> None:
    """签署每日链尾. Sign the head of the journal once a day, as soon as the day is over."""
    zone = house.settings.timezone
    with house.store.view() as view:
        day = audit.unsigned_day(view, zone)
    if day is not None:
        key = house.document_key()
        _alone(house, lambda unit: audit.sign_day(unit, day, zone=zone, key=key))


def chase_cases(house: House) -> None:
    """催办. Remind of cases that fall due, escalate the late ones, end those whose time ran out."""
    zone, now = house.settings.timezone, clock.now()
    with house.store.view() as view:
        due = casework.due_cases(view, now, zone)
    for case_id, command in due:
        _alone(house, lambda unit, i=case_id, c=command: casework.run_clock(unit, i, c, now, zone))  # type: ignore[misc]  # bound default


def keep_grounds(house: House) -> None:
    """依据守望. Begin and end mandates on their day; compare what is listed with the negative list of the day."""
    with house.store.view() as view:
        begun, over = to_begin(view, clock.now()), to_expire(view, clock.now())
        sweep_now = sweep_due(view)
    zone = house.settings.timezone
    for mandate_id in begun:  # first, so that what follows without a gap carries on what ends
        _alone(house, lambda unit, i=mandate_id: holding.begin_mandate(unit, i, zone=zone))  # type: ignore[misc]  # bound default
    for mandate_id in over:
        _alone(house, lambda unit, i=mandate_id: holding.expire_mandate(unit, i, zone=zone))  # type: ignore[misc]  # bound default
    if sweep_now:
        _alone(house, holding.sweep_negative)


def watch_usage(house: House) -> None:
    """用量守望. Tell who nears a limit; seal the hours that are over."""
    with house.store.view() as view:
        near = licenses_with_new_steps(view)
        hours = unsealed(view, clock.now())
    for license_id in near:
        _alone(house, lambda unit, i=license_id: watching.tell_steps(unit, i))  # type: ignore[misc]  # bound default
    for hour in hours:
        with house.store.view() as view:
            counted = counted_hour(view, hour)
        _alone(house, lambda unit, c=counted: seal_hour(unit, c))  # type: ignore[misc]  # bound default


def note_anomalies(house: House) -> None:
    """异常守望. Note what stood out in usage, for people to judge; stop what is used for another purpose."""
    settings = house.settings
    with house.store.view() as view:
        found = findings(view, clock.now(), zone=settings.timezone, settings=settings.metering)
    for finding in found:
        _alone(house, lambda unit, f=finding: note_anomaly(unit, f))  # type: ignore[misc]  # bound default
    with house.store.view() as view:
        astray = strayed(view, clock.now())
    for each in astray:
        _alone(house, lambda unit, e=each: living.stop_strayed(unit, e))  # type: ignore[misc]  # bound default


def each_hour(house: House) -> None:
    """Forget ended sessions, spent links and revocations; sweep what nobody refers to; sign what is not."""
    with house.store.unit("system:clock") as unit:
        identity.forget_ended(unit)
        forget_revoked(unit)
    grace = timedelta(hours=house.settings.storage.orphan_hours)
    house.sweep_scratch(grace)
    today = clock.now().astimezone(ZoneInfo(house.settings.timezone)).date()
    with house.store.unit("system:clock") as unit:
        billing.mark_overdue(unit, today=today)
        billing.expire_payments(unit)
    if days := house.settings.metering.key_days:
        seal = Seal(house.settings.metering)
        _alone(house, lambda unit: rotate_when_due(unit, seal, days=days))
    _alone(house, records.purge_due)
    note_anomalies(house)
    sign_what_is_left(house)
    sweep(house.store, house.objects, grace)


def sign_what_is_left(house: House) -> None:
    """补签. Sign invoices whose errand was given up."""
    with house.store.view() as view:
        unsigned = invoices_to_sign(view)
    for invoice_id in unsigned:
        try:
            sign_invoice(house, invoice_id)
        except (Problem, SQLAlchemyError, ValueError) as error:  # one that is damaged stops no other
            log.warning("invoice not signed", invoice=invoice_id, error=repr(error))


def cleanse(house: House, run_id: str) -> None:
    """清洗. Do one queued run; taken by another worker already is fine."""
    try:
        workshop.cleanse(house.store, house.objects, run_id, house.workshop)
    except Problem as problem:
        log.info("run not taken", run=run_id, problem=problem.slug())


def _alone(house: House, act: Callable[[Unit], object]) -> None:
    """Each thing in its own Unit: one that cannot move does not hold up the others."""
    try:
        with house.store.unit("system:clock") as unit:
            act(unit)
    except Problem as problem:
        log.warning("due but not possible", problem=problem.slug(), members=problem.members)
    except SQLAlchemyError as error:
        log.warning("due but not possible", error=repr(error))
