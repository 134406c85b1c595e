"""结账 From counted usage to invoices: a month for everybody, or one license when it has ended."""

from collections.abc import Mapping
from datetime import timedelta
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
    price_months,
)
from market.billing.settings import BillingSettings
from market.billing.tables import BillingPeriod, Invoice
from market.identity.queries import party
from market.identity.rules import Actor, OrgKind, Permission
from market.trading.problems import UseStillReported
from market.trading.queries import of_license
from metering import actions as metering
from metering.queries import is_closed, licenses_with_usage, totals_by_month
from metering.rating import Usage
from metering.reporting import reports_until
from metering.statements import root_of_period
from metering.words import Kind
from storage.kernel import clock
from storage.kernel.problem import NotFound, WrongState
from storage.unit import Unit, View


def close_month(unit: Unit, actor: Actor, period: str, settings: BillingSettings) -> BillingPeriod:
    """关账. No event enters the month any more, and every license's usage of it is invoiced.

    period: `YYYY-MM`, over for the hours of grace. Raises PeriodNotOver, BooksDiffer, PeriodClosed.
    """
    actor.require(Permission.PERIOD_CLOSE)
    metering.close_period(
        unit, period, zone=settings.timezone, grace=timedelta(hours=settings.close_after_hours)
    )
    return billing.close_period(
        unit,
        actor,
        period=period,
        usages=[usage_of(unit, row, period, settings) for row in _licenses_of(unit, period, settings)],
        settings=settings,
        differences=differences(unit),
    )


def settle_license(unit: Unit, actor: Actor, license_id: str, settings: BillingSettings) -> Invoice | None:
    """结清. Invoice what an ended license used this month without waiting for the month's end; twice is once.

    Once the month of its end is closed, the open one it was booked into late. Returns None when nothing was used.
    Raises NotFound, WrongState while the license can still be used, UseStillReported.
    """
    actor.require(Permission.INVOICE_ISSUE)
    row = unit.session.get(License, license_id, with_for_update={"key_share": True})
    if row is None or row.tier is not Tier.COMMERCIAL:
        raise NotFound(license=license_id)
    if not LICENSE.ended(row.state):
        raise WrongState(
            thing="license", state=str(row.state), verb="settle", allowed=LICENSE.verbs(row.state)
        )
    refuse_while_reported(unit, license_id)
    period = clock.period_of(row.ended_at or clock.now(), settings.timezone)
    while is_closed(unit, period):
        period = clock.period_of(clock.period_bounds(period, settings.timezone)[1], settings.timezone)
    usage = usage_of(unit, row, period, settings)
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


def refuse_while_reported(view: View, license_id: str) -> None:
    """Raise UseStillReported while use of an ended license may still be reported: what it owes is not known yet."""
    if until := reports_until(view, license_id):
        raise UseStillReported(license=license_id, until=until.isoformat())


def usage_of(view: View, row: License, period: str, settings: BillingSettings) -> LicenseUsage:
    """一份许可的用量. Priced lines of one license and month, with the root over its events."""
    terms = row.frozen_terms()
    seller, buyer = party(view, row.seller_id), party(view, row.buyer_id)
    order = of_license(view, row.id)
    return LicenseUsage(
        license_id=row.id,
        lines=_lines(view, row, terms, period, settings.timezone),
        parties=Parties(
            buyer=buyer.block(),
            seller=seller.block(),
            payee=seller.block(),
            budget_unit=seller.org_kind is OrgKind.DEPARTMENT,
        ),
        order_id=order.id if order else None,
    )


def _lines(view: View, row: License, terms: Terms, period: str, zone: str) -> list[PricedLine]:
    # One root over all events of the statement, late ones too: each of them says there when it happened.
    _count, root = root_of_period(view, row.id, period)
    months = {
        month: _counted(used, terms) for month, used in totals_by_month(view, row.id, period, zone).items()
    }
    return price_months(months, period, lambda month: _tariff(row, terms, month, zone), root)


def _counted(used: Mapping[Kind, Usage], terms: Terms) -> UsageTotals:
    # As at the till: a download without a price of its own costs what its call and rows cost.
    as_calls = [
        usage for kind, usage in used.items() if kind is not Kind.DOWNLOAD or not terms.price.download_fen
    ]
    return UsageTotals(
        calls=sum(usage.calls for usage in as_calls),
        rows=sum(usage.rows for usage in as_calls),
        downloads=used[Kind.DOWNLOAD].events if Kind.DOWNLOAD in used else 0,
        bytes=sum(usage.size for usage in used.values()),
    )


def _tariff(row: License, terms: Terms, month: str, zone: str) -> Tariff:
    price = terms.price
    return Tariff(
        call_fen=Fraction(price.call_fen),
        row_fen=Fraction(price.row_fen),
        download_fen=Fraction(price.download_fen),
        fee_fen=Fraction(price.fee_fen * fees_due(row, terms, month, zone)),
    )


def fees_due(row: License, terms: Terms, period: str, zone: str) -> int:
    """应收月费数. How many monthly fees of a license fall into a period: one where each of its months begins.

    None in a month after its end, which is billed for late use alone.
    """
    if row.serve_from is None or not terms.price.fee_fen or not terms.term.months:
        return 0
    if row.ended_at is not None and period > clock.period_of(row.ended_at, zone):
        return 0
    first = row.serve_from.astimezone(ZoneInfo(zone)).date()
    begins = (months_after(first, number) for number in range(terms.term.months))
    return sum(day.strftime("%Y-%m") == period for day in begins)


def _licenses_of(view: View, period: str, settings: BillingSettings) -> list[License]:
    """Commercial licenses that were in force during the month, or that late use was booked into it."""
    begins, ends = clock.period_bounds(period, settings.timezone)
    query = select(License).where(
        License.tier == Tier.COMMERCIAL,
        col(License.serve_from) < ends,
        or_(col(License.ended_at).is_(None), col(License.ended_at) >= begins),
    )
    running = list(view.session.exec(query))
    known = {row.id for row in running}
    late = (view.session.get(License, id_) for id_ in licenses_with_usage(view, period) if id_ not in known)
    return running + [row for row in late if row is not None and row.tier is Tier.COMMERCIAL]
