"""保存期限 How long which record is kept at least by law, and by default; pure."""

from dataclasses import dataclass
from datetime import datetime

from storage.kernel.words import Worded, Words


class RecordKind(Worded):
    """记录类别. What has a term of its own."""

    TRADE = "trade", "交易与审批记录", "Records of deals and approvals"
    JOURNAL = "journal", "流水", "The journal"
    VOUCHER = "voucher", "会计凭证与账单", "Accounting vouchers and invoices"
    REGISTRATION = "registration", "登记材料", "Registration files"
    ACCESS = "access", "登录、会话与邮件日志", "Sign-ins, sessions and mails"


@dataclass(frozen=True, slots=True)
class Term:
    """期限. Months from the end of the matter; `purged` says whether the market removes it by itself after."""

    least_months: int
    months: int
    law: Words
    purged: bool = False


TERMS: dict[RecordKind, Term] = {
    RecordKind.TRADE: Term(
        36,
        120,
        Words(
            "电子商务法第三十一条；数据安全法第三十三条", "E-Commerce Law Art. 31; Data Security Law Art. 33"
        ),
    ),
    RecordKind.JOURNAL: Term(
        36,
        120,
        Words(
            "数据安全法第三十三条；只增不改，不清除", "Data Security Law Art. 33; append-only, never purged"
        ),
    ),
    RecordKind.VOUCHER: Term(
        360, 360, Words("会计档案管理办法", "Administrative Measures for Accounting Archives")
    ),
    RecordKind.REGISTRATION: Term(
        360, 360, Words("数据登记规则（原件三十年）", "Registration rules (originals for 30 years)")
    ),
    RecordKind.ACCESS: Term(
        6, 12, Words("网络安全法第二十一条（六个月）", "Cybersecurity Law Art. 21 (six months)"), purged=True
    ),
}


def months_before(at: datetime, months: int) -> datetime:
    """The moment so many calendar months earlier; the 31st of a short month is its last day.

    >>> from datetime import UTC
    >>> months_before(datetime(2026, 8, 31, tzinfo=UTC), 6).isoformat()
    '2026-02-28T00:00:00+00:00'
    """
    number = at.year * 12 + at.month - 1 - months
    year, month = divmod(number, 12)
    for day in range(at.day, 0, -1):
        try:
            return at.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    raise AssertionError("every month has a first day")


def purgeable_before(kind: RecordKind, now: datetime, months: int | None = None) -> datetime:
    """What ended before this moment may be purged: the chosen term, never less than the law's."""
    term = TERMS[kind]
    return months_before(now, max(months if months is not None else term.months, term.least_months))
