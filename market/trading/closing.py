"""结账 From counted usage to invoices: a month for everybody, or one license when it has ended."""

from collections.abc import Callable, Mapping
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

    period: `YYYY-MM`, over for the hours of grace. counted: by `count_month`, before the Unit; what an event has
    entered since is counted again, no more: every paid call waits meanwhile.
    Raises PeriodNotOver, BooksDiffer, PeriodClosed.
    """
    actor.require(Permission.PERIOD_CLOSE)
    metering.close_period(unit, period, zone=settings.timezone, grace=_grace(settings))
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
        return counted_period(view, license_id, _last_month(view, row, settings))


def settle_license(
    unit: Unit, actor: Actor, license_id: str, settings: BillingSettings, counted: CountedPeriod | None
) -> Invoice | None:
    """结清. Invoice what an ended license used this month without waiting for the month's end; twice is once.

    counted: by `count_license`, before the Unit. Once the month of its end is closed, it is the open one that use was
    booked into late. Returns None when nothing was used.
    Raises NotFound, WrongState while the license can still be used, UseStillReported.
    """
    actor.require(Permission.INVOICE_ISSUE)
    # Before the license, as whatever ends one: nothing is booked meanwhile.
    metering.hold_gate(unit, license_id)
    row = unit.session.get(License, license_id, with_for_update={"key_share": True})
    if row is None or row.tier is not Tier.COMMERCIAL:
        raise NotFound(license=license_id)
    if not LICENSE.ended(row.state):
        raise WrongState(
            thing="license", state=str(row.state), verb="settle", allowed=LICENSE.verbs(row.state)
        )
    refuse_while_reported(unit, license_id)
    period = _last_month(unit, row, settings)
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


def refuse_while_reported(view: View, license_id: str) -> None:
    """Raise UseStillReported while use of an ended license may still be reported: what it owes is not known yet."""
    if until := reports_until(view, license_id):
        raise UseStillReported(license=license_id, until=until.isoformat())


def usage_of(
    view: View, row: License, period: str, settings: BillingSettings, counted: CountedPeriod | None = None
) -> LicenseUsage:
    """一份许可的用量. Priced lines of one license and month, with the root over its events.

    counted: before, and good as long as no event has entered since.
    """
    seller, buyer = party(view, row.seller_id), party(view, row.buyer_id)
    order = of_license(view, row.id)
    root = counted_period(view, row.id, period, counted).root
    return LicenseUsage(
        license_id=row.id,
        lines=_lines(view, row, period, settings, root),
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
    return sum(line.gross_fen for line in _lines(view, row, period, settings))


def _lines(
    view: View, row: License, period: str, settings: BillingSettings, root: str | None = None
) -> list[PricedLine]:
    """root: one over all events of the statement, late ones too; each of them says there when it happened."""
    terms, zone = row.frozen_terms(), settings.timezone
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
        events=sum(usage.events for usage in as_calls),
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


def _last_month(view: View, row: License, settings: BillingSettings) -> str:
    """The month of a license's end, or the open one that its use is booked into once that is closed."""
    period = clock.period_of(row.ended_at or clock.now(), settings.timezone)
    while is_closed(view, period):
        period = clock.period_of(clock.period_bounds(period, settings.timezone)[1], settings.timezone)
    return period


def _grace(settings: BillingSettings) -> timedelta:
    return timedelta(hours=settings.close_after_hours)


def _is_due(view: View, period: str, settings: BillingSettings) -> bool:
    """Whether a month is over, with its hours of grace, and not closed yet."""
    try:
        _, after = clock.period_bounds(period, settings.timezone)
    except ValueError:
        return False
    return after + _grace(settings) <= clock.now() and not is_closed(view, period)


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
