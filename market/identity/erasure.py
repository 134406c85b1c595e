"""删除个人信息 Forget a person: name, login, phone and secrets go; what they did stays under their number."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import col, or_, select

from market.identity.queries import memberships
from market.identity.rules import PartyKind, Role
from market.identity.tables import LoginSession, Mail, Membership, OneTimeLink, Party, User
from storage.kernel import clock
from storage.kernel.problem import NotFound
from storage.unit import Unit, View

ERASED = "已删除用户 erased"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed of a person, counted."""

    memberships: int
    mails: int
    contacts: int


def only_administrator_of(view: View, user_id: str) -> str | None:
    """An organization with other members that would be left without an administrator."""
    for membership, owner in memberships(view, user_id):
        if Role.ORG_ADMIN not in membership.roles:
            continue
        others = view.session.exec(
            select(Membership).where(Membership.party_id == owner.id, Membership.user_id != user_id)
        ).all()
        if others and not any(Role.ORG_ADMIN in other.roles for other in others):
            return owner.id
    return None


def forget_person(unit: Unit, user_id: str, *, reason: str) -> Forgotten:
    """删除个人信息. Blank a person's account; sessions, memberships and mails end. Twice is once.

    Their number stays where they acted, so that trade records and the journal still say that somebody
    did it, and no longer who. The caller has checked who may. Raises NotFound.
    """
    user = unit.session.get(User, user_id, with_for_update=True)
    if user is None:
        raise NotFound(user=user_id)
    login, name = user.login, user.name
    user.login, user.name = f"{user.id}@erased.invalid", ERASED
    user.password_hash = user.totp_sealed = None
    user.disabled_at = user.disabled_at or clock.now()
    unit.session.add(user)
    contacts = 0
    for party_id in {row.party_id for row, _owner in memberships(unit, user_id)}:
        owner = unit.session.get_one(Party, party_id, with_for_update=True)
        if owner.contact == name or owner.email == login:
            owner.contact = owner.email = owner.phone = ""
            unit.session.add(owner)
            contacts += 1
    for table in (LoginSession, OneTimeLink):
        unit.session.execute(sa.delete(table).where(col(table.user_id) == user_id))
    ended = unit.session.execute(sa.delete(Membership).where(col(Membership.user_id) == user_id))
    mails = unit.session.execute(sa.delete(Mail).where(col(Mail.to) == login))
    unit.session.flush()
    found = Forgotten(ended.rowcount, mails.rowcount, contacts)  # type: ignore[attr-defined]  # a DELETE has one
    unit.record(
        "person.erased",
        f"user:{user_id}",
        reason=reason.strip(),
        memberships=found.memberships,
        mails=found.mails,
        contacts=found.contacts,
    )
    return found


def forget_party(unit: Unit, party_id: str, *, reason: str) -> Party:
    """删除自然人主体. Blank a natural person's party block. The caller has checked terms. Raises NotFound."""
    row = unit.session.get(Party, party_id, with_for_update=True)
    if row is None or row.kind is not PartyKind.PERSON:
        raise NotFound(party=party_id)
    row.name, row.id_number = ERASED, row.id
    row.address = row.legal_representative = row.contact = row.phone = row.email = row.bank_account = ""
    row.evidence = {}
    unit.session.add(row)
    unit.session.flush()
    unit.record("person.erased", f"party:{party_id}", reason=reason.strip())
    return row


def purge_mails(unit: Unit, before: datetime) -> int:
    """清除邮件. Remove messages written before, whether they left or were given up. Returns how many."""
    gone = unit.session.execute(
        sa.delete(Mail).where(
            col(Mail.created_at) < before, or_(col(Mail.sent_at).is_not(None), col(Mail.failures) > 0)
        )
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]  # a DELETE has one
