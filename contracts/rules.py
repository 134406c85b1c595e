"""状态与期限 The lives of a contract and a license, and how a term becomes two moments. Pure."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from contracts.terms import Term
from storage.kernel.machine import Machine
from storage.kernel.problem import invalid
from storage.kernel.words import Worded


class ContractState(Worded):
    """合同状态. Where a contract stands between being drawn up and ending."""

    DRAFT = "draft", "起草中", "Draft"
    PROVIDER_SIGNED = "provider_signed", "提供方已接受", "Accepted by the provider"
    EFFECTIVE = "effective", "已生效", "Effective"
    TERMINATED = "terminated", "已终止", "Terminated"
    VOID = "void", "已作废", "Void"


class LicenseState(Worded):
    """许可状态. Whether a license opens the door."""

    PENDING = "pending", "待生效", "Pending"
    ACTIVE = "active", "生效", "Active"
    SUSPENDED = "suspended", "中止", "Suspended"
    EXPIRED = "expired", "到期", "Expired"
    REVOKED = "revoked", "撤销", "Revoked"
    TERMINATED = "terminated", "终止", "Terminated"


CONTRACT = Machine(
    "contract",
    ContractState.DRAFT,
    {
        (ContractState.DRAFT, "provider_accept"): ContractState.PROVIDER_SIGNED,
        (ContractState.PROVIDER_SIGNED, "buyer_accept"): ContractState.EFFECTIVE,
        # Only what both sides accepted can be witnessed or licensed under.
        (ContractState.EFFECTIVE, "witness"): ContractState.EFFECTIVE,
        (ContractState.EFFECTIVE, "license"): ContractState.EFFECTIVE,
        (ContractState.EFFECTIVE, "terminate"): ContractState.TERMINATED,
        (ContractState.DRAFT, "void"): ContractState.VOID,
        (ContractState.PROVIDER_SIGNED, "void"): ContractState.VOID,
        # An effective contract can be held void from the start (民法典 146, 153-155), by decision only.
        (ContractState.EFFECTIVE, "void"): ContractState.VOID,
    },
)

LICENSE = Machine(
    "license",
    LicenseState.PENDING,
    {
        (LicenseState.PENDING, "activate"): LicenseState.ACTIVE,
        (LicenseState.PENDING, "revoke"): LicenseState.REVOKED,
        (LicenseState.ACTIVE, "suspend"): LicenseState.SUSPENDED,
        (LicenseState.SUSPENDED, "resume"): LicenseState.ACTIVE,
        (LicenseState.ACTIVE, "expire"): LicenseState.EXPIRED,
        (LicenseState.SUSPENDED, "expire"): LicenseState.EXPIRED,
        (LicenseState.ACTIVE, "revoke"): LicenseState.REVOKED,
        (LicenseState.SUSPENDED, "revoke"): LicenseState.REVOKED,
        (LicenseState.ACTIVE, "terminate"): LicenseState.TERMINATED,
        (LicenseState.SUSPENDED, "terminate"): LicenseState.TERMINATED,
    },
)


def term_bounds(term: Term, *, starts_at: datetime, zone: str) -> tuple[datetime, datetime | None]:
    """期限起止. First moment served and first moment no longer served (UTC; None is without end).

    Days are days of `zone`. A term in months does not count the day it starts and ends with the day of
    the same number at 24:00, or the month's last day (民法典 201-203). A term of days that began before
    `starts_at` is served from `starts_at`. Raises Invalid when it has ended already.
    """
    began = starts_at.astimezone(UTC)
    if term.months is not None:
        first = starts_at.astimezone(ZoneInfo(zone)).date()
        return began, _midnight(months_after(first, term.months) + timedelta(days=1), zone)
    if term.first_day is None or term.last_day is None:
        return began, None
    ends = _midnight(term.last_day + timedelta(days=1), zone)
    if ends <= began:
        raise invalid(
            "term.last_day", "term.over", "约定的期限已经届满。", "The agreed term is over already."
        )
    return max(began, _midnight(term.first_day, zone)), ends


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def months_after(day: date, months: int) -> date:
    """The day of the same number `months` later, or that month's last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
