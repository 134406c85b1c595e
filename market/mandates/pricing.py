"""定价与准许收入 Set and end price ceilings; set revenue caps, count revenue under them, carry over what is too much."""

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from market.identity.problems import Forbidden
from market.identity.queries import party
from market.identity.rules import Actor, Permission
from market.identity.tables import Party
from market.mandates import queries
from market.mandates.actions import reasoned
from market.mandates.prices import (
    CapForm,
    CapStep,
    CeilingForm,
    Span,
    cap_faults,
    carried,
    ceiling_faults,
    exact_fen,
    left_fen,
    step_of,
)
from market.mandates.problems import CapOverlaps, CeilingOverlaps
from market.mandates.rules import MANDATOR_KINDS, OPERATOR_KINDS, midnight
from market.mandates.tables import MandatedRevenue, PriceCeiling, RevenueCap
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Conflict, Fault, Invalid, NotFound, invalid
from storage.kernel.words import Words
from storage.unit import Unit


def set_ceiling(unit: Unit, actor: Actor, *, form: CeilingForm, replaces: str | None = None) -> PriceCeiling:
    """核定上限收费标准. One decision holds for a product and unit at any moment.

    replaces: the ceiling that ends on the day this one begins. Raises Forbidden, Invalid with every fault,
    CeilingOverlaps, NotFound; of two decisions at once one is told that the other was first (Conflict).
    """
    _decides(actor)
    faults = list(ceiling_faults(form))
    try:
        most = exact_fen(form.max_yuan)
    except Invalid as wrong:
        raise Invalid(*faults, *wrong.faults) from wrong
    if faults:
        raise Invalid(*faults)
    assert form.first_day is not None
    assert form.last_day is not None
    begins, ends = midnight(form.first_day), midnight(date.fromordinal(form.last_day.toordinal() + 1))
    query = select(PriceCeiling).where(PriceCeiling.product == form.product, PriceCeiling.unit == form.unit)
    before = unit.session.exec(query.order_by(col(PriceCeiling.revision)).with_for_update()).all()
    if replaces is not None:
        _replace(unit, next((row for row in before if row.id == replaces), None), form)
    for row in before:
        if row.valid_from < ends and begins < row.valid_until:
            raise CeilingOverlaps(ceiling=row.id)
    ceiling = PriceCeiling(
        id=new_id("cei"),
        product=form.product,
        unit=form.unit,
        revision=before[-1].revision + 1 if before else 1,
        max_numerator=most.numerator,
        max_denominator=most.denominator,
        mandator_id=actor.own_org,
        decided_by=form.decided_by.strip(),
        document_no=form.document_no.strip(),
        document_sha256=form.document_sha256 or None,
        trial=form.trial,
        valid_from=begins,
        valid_until=ends,
        set_by=actor.id,
        set_at=clock.now(),
    )
    unit.session.add(ceiling)
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise Conflict(product=form.product, unit=str(form.unit)) from error
    unit.record(
        "ceiling.set",
        f"ceiling:{ceiling.id}",
        product=form.product,
        unit=str(form.unit),
        max_fen=str(most),
        document_no=ceiling.document_no,
        replaces=replaces,
    )
    return ceiling


def _replace(unit: Unit, old: PriceCeiling | None, form: CeilingForm) -> None:
    assert form.first_day is not None
    if old is None:
        raise NotFound(ceiling=form.product)
    begins = midnight(form.first_day)
    if not old.valid_from < begins < old.valid_until:
        raise invalid(
            "first_day",
            "ceiling.replaces",
            "替换的生效日须晚于原标准生效日、早于其失效日。",
            "It begins after the one it replaces began and before that one ends.",
        )
    old.valid_until, old.end_reason = begins, f"replaced: {form.document_no.strip()}"
    unit.session.add(old)
    unit.session.flush()
    unit.record("ceiling.replaced", f"ceiling:{old.id}", until=begins.isoformat())


def end_ceiling(unit: Unit, actor: Actor, ceiling_id: str, *, reason: str) -> PriceCeiling:
    """废止上限收费标准. From this moment on; new orders wait for another. Raises Forbidden, NotFound, Invalid."""
    _decides(actor)
    row = unit.session.get(PriceCeiling, ceiling_id, with_for_update=True)
    if row is None or row.mandator_id != actor.own_org:
        raise NotFound(ceiling=ceiling_id)
    now = clock.now()
    if not row.valid_from < now < row.valid_until:
        raise invalid("ceiling", "ceiling.over", "该标准当前并不有效。", "This ceiling is not in force now.")
    row.valid_until, row.end_reason = now, reasoned(reason)
    unit.session.add(row)
    unit.record("ceiling.ended", f"ceiling:{row.id}", product=row.product, reason=row.end_reason)
    return row


def set_cap(unit: Unit, actor: Actor, *, form: CapForm) -> RevenueCap:
    """核定最高准许收入. For an operator and a span of months; what was invoiced there already counts.

    Raises Forbidden, Invalid with every fault, CapOverlaps.
    """
    _decides(actor)
    faults = list(cap_faults(form))
    try:
        operator = party(unit, form.operator_id)
    except NotFound:
        operator = None
    if operator is None or operator.org_kind not in OPERATOR_KINDS:
        faults.append(
            Fault("operator_id", "mandate.operator", Words("没有这个运营机构。", "No such operator."))
        )
    if faults:
        raise Invalid(*faults)
    for row in _caps(unit, form.operator_id):
        if row.first_day <= form.last_day and form.first_day <= row.last_day:
            raise CapOverlaps(cap=row.id)
    cap = RevenueCap(
        id=new_id("cap"),
        operator_id=form.operator_id,
        mandator_id=actor.own_org,
        first_day=form.first_day,
        last_day=form.last_day,
        cap_fen=form.cap_fen,
        decided_by=form.decided_by.strip(),
        document_no=form.document_no.strip(),
        set_by=actor.id,
        set_at=clock.now(),
    )
    unit.session.add(cap)
    unit.session.flush()
    unit.record(
        "cap.set",
        f"cap:{cap.id}",
        operator=cap.operator_id,
        first_day=cap.first_day.isoformat(),
        last_day=cap.last_day.isoformat(),
        cap_fen=cap.cap_fen,
    )
    _recount(unit, _caps(unit, form.operator_id))
    return cap


def book_revenue(
    unit: Unit, *, license_id: str | None, invoice_id: str, period: str, amount_fen: int
) -> MandatedRevenue | None:
    """计入准许收入. Count an invoice of a mandated license (a credit note below zero) in the Unit that issues it.

    Returns None for a license that is not of public data. Twice is once.
    """
    held = queries.mandated(unit, license_id) if license_id else None
    if held is None or not amount_fen or unit.session.get(MandatedRevenue, invoice_id) is not None:
        return None
    rows = _caps(unit, held.operator_id)
    row = MandatedRevenue(
        invoice_id=invoice_id,
        operator_id=held.operator_id,
        license_id=held.license_id,
        amount_fen=amount_fen,
        period=period,
        at=clock.now(),
    )
    unit.session.add(row)
    unit.session.flush()
    unit.record(
        "mandate.revenue",
        f"mandate:{held.mandate_id}",
        invoice=invoice_id,
        amount_fen=amount_fen,
        period=period,
    )
    _recount(unit, rows)
    return row


def _caps(unit: Unit, operator_id: str) -> Sequence[RevenueCap]:
    """The operator's caps in order of time. The operator's row is the lock: counting and deciding take turns."""
    lock = sa.select(col(Party.id)).where(col(Party.id) == operator_id).with_for_update(key_share=True)
    unit.session.execute(lock)
    query = select(RevenueCap).where(RevenueCap.operator_id == operator_id)
    query = query.order_by(col(RevenueCap.first_day)).execution_options(populate_existing=True)
    return unit.session.exec(query).all()


def _recount(unit: Unit, rows: Sequence[RevenueCap]) -> None:
    """Collected, carried over and step of every period, from the counted invoices; a change is an entry."""
    sums = [queries.collected_fen(unit, row.operator_id, row.first_day, row.last_day) for row in rows]
    overs = carried([Span(row.cap_fen, collected) for row, collected in zip(rows, sums, strict=True)])
    for row, collected, over in zip(rows, sums, overs, strict=True):
        if over != row.carried_fen:
            unit.record("cap.carried", f"cap:{row.id}", before_fen=row.carried_fen, carried_fen=over)
        row.collected_fen, row.carried_fen = collected, over
        step = step_of(row.cap_fen, over, collected)
        if step is not row.step:
            unit.record(
                f"cap.{step}",
                f"cap:{row.id}",
                operator=row.operator_id,
                collected_fen=collected,
                left_fen=left_fen(row.cap_fen, over, collected),
            )
        row.step = CapStep(step)
        unit.session.add(row)
    unit.session.flush()


def _decides(actor: Actor) -> None:
    actor.require(Permission.MANDATE_GRANT)
    if actor.org_kind not in MANDATOR_KINDS:
        words = Words(
            "只有数据主管部门可以核定价格与收入上限。", "Only a data bureau sets ceilings and caps."
        )
        raise Forbidden(words, permission=str(Permission.MANDATE_GRANT))
