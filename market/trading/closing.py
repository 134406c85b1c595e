"""结账 From counted usage to invoices: a month for everybody, or one license when it has ended."""

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
from metering.queries import totals_of_period
from metering.statements import counted_period
from metering.words import Kind
from storage.kernel import clock
from storage.kernel.problem import NotFound, WrongState
from storage.unit import Unit, View


def close_month(unit: Unit, actor: Actor, period: str, settings: BillingSettings) -> BillingPeriod:
    """关账. No event enters the month any more, and every license's usage of it is invoiced.

    period: `YYYY-MM`, over. Raises PeriodNotOver, BooksDiffer, PeriodClosed.
    """
    actor.require(Permission.PERIOD_CLOSE)
    metering.close_period(unit, period, zone=settings.timezone)
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

    Returns None when nothing was used. Raises NotFound, WrongState while the license can still be used.
    """
    actor.require(Permission.INVOICE_ISSUE)
    row = unit.session.get(License, license_id, with_for_update=True)
    if row is None or row.tier is not Tier.COMMERCIAL:
        raise NotFound(license=license_id)
    if not LICENSE.ended(row.state):
        raise WrongState(
            thing="license", state=str(row.state), verb="settle", allowed=LICENSE.verbs(row.state)
        )
    period = clock.period_of(row.ended_at or clock.now(), settings.timezone)
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
    used = totals_of_period(view, row.id, period)
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
        fee_fen=Fraction(price.fee_fen * fees_due(row, terms, period, zone)),
    )
    return price_lines(counted, tariff, counted_period(view, row.id, period).root)


def fees_due(row: License, terms: Terms, period: str, zone: str) -> int:
    """应收月费数. How many monthly fees of a license fall into a period: one where each of its months begins."""
    if row.serve_from is None or not terms.price.fee_fen or not terms.term.months:
        return 0
    first = row.serve_from.astimezone(ZoneInfo(zone)).date()
    begins = (months_after(first, number) for number in range(terms.term.months))
    return sum(day.strftime("%Y-%m") == period for day in begins)


def _licenses_of(view: View, period: str, settings: BillingSettings) -> list[License]:
    """Commercial licenses that were in force during the month."""
    begins, ends = clock.period_bounds(period, settings.timezone)
    query = select(License).where(
        License.tier == Tier.COMMERCIAL,
        col(License.serve_from) < ends,
        or_(col(License.ended_at).is_(None), col(License.ended_at) >= begins),
    )
    return list(view.session.exec(query.order_by(col(License.id))))
