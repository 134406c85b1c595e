"""结账 From counted usage to invoices: a month for everybody, or one license when it has ended."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from zoneinfo import ZoneInfo

from sqlmodel import col, or_, select

from contracts.rules import LICENSE, months_after
from contracts.tables import License
from contracts.terms import Terms, Tier
from market.billing import actions as billing
from market.billing.reconcile import differences
from market.billing.rules import (
    InvoiceKind,
    LicenseUsage,
    Parties,
    PricedLine,
    Tariff,
    UsageTotals,
    price_lines,
)
from market.billing.settings import BillingSettings
from market.billing.tables import BillingPeriod, Invoice
from market.identity.queries import party
from market.identity.rules import Actor, OrgKind, Permission
from market.trading.queries import of_license
from metering import actions as metering
from metering.queries import is_closed, totals_of_period
from metering.rating import Usage
from metering.statements import CountedPeriod, counted_period
from metering.words import Kind
from storage.kernel import clock
from storage.kernel.problem import NotFound, WrongState
from storage.unit import Store, Unit, View, slow

Progress = Callable[[int, int], None]


def count_month(
    store: Store, period: str, settings: BillingSettings, progress: Progress = lambda _done, _of: None
) -> dict[str, CountedPeriod]:
    """预先计数. What every license used in a month, with its root; for `close_month`, while paid calls go on.

    Nothing for a month that cannot be closed now: `close_month` says why. progress: called with (licenses
    counted, licenses in all).
    """
    slow("counting a month")
    with store.view() as view:
        due = _is_due(view, period, settings)
        licenses = [row.id for row in _licenses_of(view, period, settings)] if due else []
    counted = {}
    for number, license_id in enumerate(licenses, 1):
        with store.view() as view:  # one each: while somebody reads, SQLite cannot clear its log
            counted[license_id] = counted_period(view, license_id, period)
        progress(number, len(licenses))
    return counted


def close_month(
    unit: Unit,
    actor: Actor,
    period: str,
    settings: BillingSettings,
    counted: Mapping[str, CountedPeriod],
) -> BillingPeriod:
    """关账. No event enters the month any more, and every license's usage of it is invoiced.

    period: `YYYY-MM`, over. counted: by `count_month`, before the Unit; what an event has entered since is
    counted again, no more: every paid call waits meanwhile. Raises PeriodNotOver, BooksDiffer, PeriodClosed.
    """
    actor.require(Permission.PERIOD_CLOSE)
    metering.close_period(unit, period, zone=settings.timezone)
    licenses = _licenses_of(unit, period, settings)
    return billing.close_period(
        unit,
        actor,
        period=period,
        # Read only once nothing speaks against closing.
        usages=(usage_of(unit, row, period, settings, counted.get(row.id)) for row in licenses),
        settings=settings,
        differences=differences(unit),
    )


def count_license(store: Store, license_id: str, settings: BillingSettings) -> CountedPeriod | None:
    """预先计数. What an ended license used in its last month; None when `settle_license` would refuse."""
    slow("counting a license")
    with store.view() as view:
        row = view.session.get(License, license_id)
        if row is None or row.tier is not Tier.COMMERCIAL or not LICENSE.ended(row.state):
            return None
        return counted_period(view, license_id, _last_month(row, settings))


def settle_license(
    unit: Unit, actor: Actor, license_id: str, settings: BillingSettings, counted: CountedPeriod | None
) -> Invoice | None:
    """结清. Invoice what an ended license used this month without waiting for the month's end; twice is once.

    counted: by `count_license`, before the Unit. Returns None when nothing was used.
    Raises NotFound, WrongState while the license can still be used.
    """
    actor.require(Permission.INVOICE_ISSUE)
    row = unit.session.get(License, license_id, with_for_update=True)
    if row is None or row.tier is not Tier.COMMERCIAL:
        raise NotFound(license=license_id)
    if not LICENSE.ended(row.state):
        raise WrongState(
            thing="license", state=str(row.state), verb="settle", allowed=LICENSE.verbs(row.state)
        )
    metering.hold_gate(unit, license_id)  # a provider may still report what was used before the end
    period = _last_month(row, settings)
    usage = usage_of(unit, row, period, settings, counted)
    if not sum(line.gross_fen for line in usage.lines):
        return None
    invoice = billing.issue_invoice(
        unit,
        kind=InvoiceKind.USAGE,
        charge=f"usage:{license_id}:{period}",
        period=period,
        parties=usage.parties,
        lines=usage.lines,
        settings=settings,
        license_id=license_id,
        order_id=usage.order_id,
        tax_invoice=usage.tax_invoice,
    )
    unit.record("license.settled", f"license:{license_id}", invoice=invoice.id, gross_fen=invoice.gross_fen)
    return invoice


def usage_of(
    view: View, row: License, period: str, settings: BillingSettings, counted: CountedPeriod | None = None
) -> LicenseUsage:
    """一份许可的用量. Priced lines of one license and month, with the root over its events.

    counted: before, and good as long as no event has entered since.
    """
    seller, buyer = party(view, row.seller_id), party(view, row.buyer_id)
    order = of_license(view, row.id)
    now = counted_period(view, row.id, period, counted)
    return LicenseUsage(
        license_id=row.id,
        lines=_lines(row, period, settings, now.used, now.root),
        parties=Parties(
            buyer=buyer.block(),
            seller=seller.block(),
            payee=seller.block(),
            budget_unit=seller.org_kind is OrgKind.DEPARTMENT,
        ),
        order_id=order.id if order else None,
    )


def gross_of(view: View, row: License, period: str, settings: BillingSettings) -> int:
    """应付金额. What one license and month come to (fen), from the sums alone."""
    used = totals_of_period(view, row.id, period)
    return sum(line.gross_fen for line in _lines(row, period, settings, used))


def _lines(
    row: License,
    period: str,
    settings: BillingSettings,
    used: Mapping[Kind, Usage],
    root: str | None = None,
) -> list[PricedLine]:
    terms = row.frozen_terms()
    # As at the till: a download without a price of its own costs what its call and rows cost.
    as_calls = [
        usage for kind, usage in used.items() if kind is not Kind.DOWNLOAD or not terms.price.download_fen
    ]
    counted = UsageTotals(
        calls=sum(usage.calls for usage in as_calls),
        rows=sum(usage.rows for usage in as_calls),
        downloads=used[Kind.DOWNLOAD].events if Kind.DOWNLOAD in used else 0,
        bytes=sum(usage.size for usage in used.values()),
    )
    price = terms.price
    tariff = Tariff(
        call_fen=Fraction(price.call_fen),
        row_fen=Fraction(price.row_fen),
        download_fen=Fraction(price.download_fen),
        fee_fen=Fraction(price.fee_fen * fees_due(row, terms, period, settings.timezone)),
    )
    return price_lines(counted, tariff, root)


def fees_due(row: License, terms: Terms, period: str, zone: str) -> int:
    """应收月费数. How many monthly fees of a license fall into a period: one where each of its months begins."""
    if row.serve_from is None or not terms.price.fee_fen or not terms.term.months:
        return 0
    first = row.serve_from.astimezone(ZoneInfo(zone)).date()
    begins = (months_after(first, number) for number in range(terms.term.months))
    return sum(day.strftime("%Y-%m") == period for day in begins)


def _last_month(row: License, settings: BillingSettings) -> str:
    return clock.period_of(row.ended_at or clock.now(), settings.timezone)


def _is_due(view: View, period: str, settings: BillingSettings) -> bool:
    """Whether a month is over and not closed yet."""
    try:
        _, after = clock.period_bounds(period, settings.timezone)
    except ValueError:
        return False
    return after <= clock.now() and not is_closed(view, period)


def _licenses_of(view: View, period: str, settings: BillingSettings) -> list[License]:
    """Commercial licenses that were in force during the month."""
    begins, ends = clock.period_bounds(period, settings.timezone)
    query = select(License).where(
        License.tier == Tier.COMMERCIAL,
        col(License.serve_from) < ends,
        or_(col(License.ended_at).is_(None), col(License.ended_at) >= begins),
    )
    return list(view.session.exec(query.order_by(col(License.id))))
