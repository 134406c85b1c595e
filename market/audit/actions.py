"""Sign the day's head of the journal; place and lift legal holds."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from joserfc.jwk import OKPKey
from sqlmodel import col, select

from market.audit.heads import digest_of, sign_head
from market.audit.tables import LegalHold, SignedHead
from storage.journal import GENESIS, JournalHead
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import NotFound, invalid
from storage.unit import Unit, View


def unsigned_day(view: View, zone: str) -> str | None:
    """The local day that is over and whose head is not signed yet; only the last one, whatever was missed."""
    day = (clock.now().astimezone(ZoneInfo(zone)) - timedelta(days=1)).date().isoformat()
    return None if view.session.get(SignedHead, day) else day


def sign_day(unit: Unit, day: str, *, zone: str, key: OKPKey) -> SignedHead:
    """签署每日链尾. Sign the chain as it is sealed now, as the head after `day`. Twice is once.

    key: the platform's document key.
    """
    unit.session.get(JournalHead, 1, with_for_update=True)
    known = unit.session.get(SignedHead, day)
    if known is not None:
        return known
    head = unit.session.get(JournalHead, 1) or JournalHead()
    query = select(SignedHead).order_by(col(SignedHead.day).desc())
    last = unit.session.exec(query.limit(1)).first()
    now = clock.now()
    document = sign_head(
        day=day,
        zone=zone,
        seq=head.seq,
        head=head.hash,
        previous=digest_of(last.document) if last else GENESIS,
        key=key,
        at=now,
    )
    row = SignedHead(day=day, seq=head.seq, hash=head.hash, document=document, signed_at=now)
    unit.session.add(row)
    unit.session.flush()
    unit.record("journal.head_signed", f"journal:{day}", seq=head.seq, hash=head.hash, kid=document["kid"])
    return row


def place_hold(unit: Unit, *, subject: str, reason: str) -> LegalHold:
    """法律保全. Keep everything of a subject ("party:pty_…", or a kind of record) until it is lifted.

    The caller has checked who may. Raises Invalid without a reason or a subject.
    """
    if len(reason.strip()) < 4:
        raise invalid(
            "reason", "reason.length", "请写明理由（至少 4 个字）。", "Give a reason (4 characters at least)."
        )
    if not 3 <= len(subject.strip()) <= 80:
        raise invalid(
            "subject",
            "hold.subject",
            "请填写对象，如 party:pty_…。",
            "Name the subject, such as party:pty_….",
        )
    row = LegalHold(
        id=new_id("hld"),
        subject=subject.strip(),
        reason=reason.strip(),
        by=unit.actor,
        placed_at=clock.now(),
    )
    unit.session.add(row)
    unit.session.flush()
    unit.record("hold.placed", f"hold:{row.id}", subject=row.subject, reason=row.reason)
    return row


def lift_hold(unit: Unit, hold_id: str, *, reason: str) -> LegalHold:
    """解除保全. Terms run again. Raises NotFound for none in force."""
    row = unit.session.get(LegalHold, hold_id, with_for_update=True)
    if row is None or row.lifted_at is not None:
        raise NotFound(hold=hold_id)
    row.lifted_at, row.lifted_by = clock.now(), unit.actor
    unit.session.add(row)
    unit.record("hold.lifted", f"hold:{row.id}", subject=row.subject, reason=reason.strip())
    return row
