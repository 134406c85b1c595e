"""Verbs about people and parties. Password hashing happens before the Unit opens: hashes come in."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select

from market.identity.passwords import hash_secret
from market.identity.problems import (
    AlreadyRegistered,
    LinkSpent,
    OwnDecision,
    SecondFactorNeeded,
    WrongCredentials,
)
from market.identity.queries import memberships, user_by_login
from market.identity.rules import (
    LINK_HOURS,
    LOCK_MINUTES,
    MAX_FAILURES,
    SESSION_HOURS,
    VERIFICATION,
    Actor,
    IdType,
    OrgKind,
    PartyKind,
    Permission,
    Role,
    Verification,
    identity_faults,
    new_secret,
    normal_email,
    role_faults,
)
from market.identity.tables import LoginSession, Mail, Membership, OneTimeLink, Party, User
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Fault, Invalid, NotFound, invalid
from storage.kernel.words import Lang, Words
from storage.unit import Unit


@dataclass(frozen=True, slots=True)
class PartyForm:
    """主体信息. The party block as a person fills it in."""

    name: str
    id_number: str
    org_kind: OrgKind | None = OrgKind.ENTERPRISE
    kind: PartyKind = PartyKind.ORGANIZATION
    id_type: IdType = IdType.USCC
    address: str = ""
    legal_representative: str = ""
    contact: str = ""
    phone: str = ""
    email: str = ""
    bank_account: str = ""


def create_user(
    unit: Unit, *, login: str, name: str, password_hash: str | None = None, lang: Lang = "zh"
) -> User:
    """Create a person's account. Raises Invalid for a bad login, AlreadyRegistered for a known one."""
    email = normal_email(login)
    faults = []
    if email is None:
        faults.append(Fault("login", "email", Words("请填写有效的邮箱。", "Write a valid e-mail address.")))
    if not 1 <= len(name.strip()) <= 60:
        faults.append(Fault("name", "length", Words("姓名为 1 至 60 个字符。", "1 to 60 characters.")))
    if faults or email is None:
        raise Invalid(*faults)
    if user_by_login(unit, email):
        raise AlreadyRegistered
    user = User(
        id=new_id("usr"),
        login=email,
        name=name.strip(),
        password_hash=password_hash,
        lang=lang,
        created_at=clock.now(),
    )
    unit.session.add(user)
    unit.session.flush()
    unit.record("user.created", f"user:{user.id}")
    return user


def register_party(unit: Unit, form: PartyForm) -> Party:
    """主体登记. Add an organization or person. Raises Invalid, AlreadyRegistered."""
    number = form.id_number.strip().upper()
    faults = identity_faults(form.kind, form.id_type, number)
    if not 2 <= len(form.name.strip()) <= 100:
        faults.append(Fault("name", "length", Words("名称为 2 至 100 个字符。", "2 to 100 characters.")))
    if faults:
        raise Invalid(*faults)
    known = select(Party.id).where(Party.id_type == form.id_type, Party.id_number == number)
    if unit.session.exec(known).first():
        raise AlreadyRegistered
    row = Party(
        id=new_id("pty"),
        kind=form.kind,
        org_kind=form.org_kind,
        name=form.name.strip(),
        id_type=form.id_type,
        id_number=number,
        address=form.address,
        legal_representative=form.legal_representative,
        contact=form.contact,
        phone=form.phone,
        email=form.email,
        bank_account=form.bank_account,
        evidence={},
        created_at=clock.now(),
    )
    unit.session.add(row)
    unit.session.flush()
    unit.record("party.registered", f"party:{row.id}", kind=str(row.org_kind or row.kind))
    return row


def register_enterprise(
    unit: Unit, form: PartyForm, *, login: str, name: str, password_hash: str, lang: Lang = "zh"
) -> tuple[User, Party]:
    """企业自助注册. A new enterprise and its first member, who administers it and may buy.

    lang: the language of the mails to this person.
    """
    user = create_user(unit, login=login, name=name, password_hash=password_hash, lang=lang)
    owner = register_party(unit, form)
    add_member(unit, user.id, owner, frozenset({Role.ORG_ADMIN, Role.BUYER}), invited_by=user.id)
    return user, owner


def add_member(
    unit: Unit, user_id: str, owner: Party, roles: frozenset[Role], *, invited_by: str
) -> Membership:
    """Give a user roles in an organization. Raises Invalid for roles its kind cannot give."""
    if faults := role_faults(owner.org_kind or OrgKind.ENTERPRISE, roles):
        raise Invalid(*faults)
    row = Membership(
        id=new_id("mem"),
        user_id=user_id,
        party_id=owner.id,
        roles=sorted(str(role) for role in roles),
        invited_by=invited_by,
        created_at=clock.now(),
    )
    unit.session.add(row)
    unit.session.flush()
    unit.record("member.added", f"party:{owner.id}", user=user_id, roles=row.roles)
    return row


def submit_identity(unit: Unit, actor: Actor, *, evidence_sha256: str, method: str) -> Party:
    """提交核验. Hand in the identity documents of the actor's organization (数据安全法 33)."""
    actor.require(Permission.PARTY_EDIT)
    row = unit.session.get_one(Party, actor.own_org, with_for_update=True, populate_existing=True)
    row.verification = VERIFICATION.after(row.verification, "submit")
    row.evidence = {"sha256": evidence_sha256, "method": method}
    row.submitted_by = actor.id
    unit.session.add(row)
    unit.record("party.identity_submitted", f"party:{row.id}", evidence=evidence_sha256)
    return row


def decide_identity(unit: Unit, actor: Actor, party_id: str, *, verify: bool, reason: str) -> Party:
    """身份核验. A compliance officer accepts or refuses the documents (数据安全法 33).

    Raises OwnDecision for one's own organization, WrongState when nothing is waiting.
    """
    actor.require(Permission.PARTY_VERIFY)
    row = unit.session.get(Party, party_id, with_for_update=True)
    if row is None:
        raise NotFound(party=party_id)
    if actor.belongs_to(row.id) or row.submitted_by == actor.id:
        raise OwnDecision
    if len(reason.strip()) < 4:
        raise invalid(
            "reason", "reason.length", "请写明理由（至少 4 个字）。", "Give a reason (4 characters at least)."
        )
    row.verification = VERIFICATION.after(row.verification, "verify" if verify else "reject")
    row.checked_by, row.checked_at, row.check_reason = actor.id, clock.now(), reason.strip()
    unit.session.add(row)
    unit.record("party.verified" if verify else "party.rejected", f"party:{row.id}", reason=reason.strip())
    return row


def verify_at_birth(unit: Unit, row: Party, reason: str) -> None:
    """Mark an institution of the market itself as verified, from the command line or the demo."""
    row.verification = Verification.VERIFIED
    row.checked_by, row.checked_at, row.check_reason = unit.actor, clock.now(), reason
    unit.session.add(row)
    unit.record("party.verified", f"party:{row.id}", reason=reason)


def make_link(unit: Unit, user: User, purpose: str) -> str:
    """A one-time link's secret. The caller mails or prints it; only its hash is kept."""
    secret = new_secret()
    unit.session.add(
        OneTimeLink(
            secret_hash=hash_secret(secret),
            purpose=purpose,
            user_id=user.id,
            expires_at=clock.now() + timedelta(hours=LINK_HOURS[purpose]),
        )
    )
    unit.record("link.made", f"user:{user.id}", purpose=purpose)
    return secret


def send_mail(unit: Unit, user: User, template: str, data: dict[str, Any]) -> None:
    """Put a message into the outbox, in the same commit as what it tells."""
    unit.session.add(
        Mail(
            id=new_id("mal"),
            to=user.login,
            template=template,
            lang=user.lang,
            data=data,
            created_at=clock.now(),
        )
    )


def ask_reset(unit: Unit, login: str) -> None:
    """重置密码. Mail a reset link if the login exists; the caller cannot tell whether it does."""
    email = normal_email(login) or ""
    user = user_by_login(unit, email)
    if user is None or user.disabled_at:
        unit.record("reset.asked", "user:unknown")
        return
    send_mail(unit, user, "reset", {"secret": make_link(unit, user, "reset")})
    unit.record("reset.asked", f"user:{user.id}")


def set_password_by_link(unit: Unit, secret: str, *, password_hash: str) -> User:
    """Set the password a one-time link allows; every session of the user ends. Raises LinkSpent."""
    link = unit.session.get(OneTimeLink, hash_secret(secret), with_for_update=True)
    if link is None or link.used_at or link.expires_at <= clock.now():
        raise LinkSpent
    unit.session.execute(
        sa.update(OneTimeLink)
        .where(col(OneTimeLink.user_id) == link.user_id, col(OneTimeLink.used_at).is_(None))
        .values(used_at=clock.now())  # every other link of this person ends with this one
    )
    user = unit.session.get(User, link.user_id)
    if user is None or user.disabled_at:
        raise LinkSpent
    return _set_password(unit, user, password_hash)


def choose_language(unit: Unit, actor: Actor, lang: Lang) -> None:
    """选择语言. The language of the mails to the actor from now on."""
    actor.require(Permission.SELF)
    user = unit.session.get(User, actor.id)
    if user is None:
        raise NotFound(user=actor.id)  # a program gets no mail
    user.lang = lang
    unit.session.add(user)
    unit.record("user.language_chosen", f"user:{user.id}", lang=lang)


def change_password(unit: Unit, actor: Actor, *, password_hash: str) -> User:
    """修改密码. The face has checked the old one; every session of the user ends."""
    actor.require(Permission.SELF)
    user = unit.session.get_one(User, actor.id)
    return _set_password(unit, user, password_hash)


def _set_password(unit: Unit, user: User, password_hash: str) -> User:
    user.password_hash, user.failures, user.locked_until = password_hash, 0, None
    unit.session.add(user)
    unit.session.execute(sa.delete(LoginSession).where(col(LoginSession.user_id) == user.id))
    unit.record("user.password_set", f"user:{user.id}")
    return user


def note_failure(unit: Unit, user_id: str) -> None:
    """Count a failed sign-in; the fifth locks the account for fifteen minutes."""
    user = unit.session.get(User, user_id, with_for_update=True)
    if user is None:
        return
    user.failures += 1
    if user.failures >= MAX_FAILURES:
        user.failures, user.locked_until = 0, clock.now() + timedelta(minutes=LOCK_MINUTES)
        unit.record("user.locked", f"user:{user.id}")
    else:
        unit.record("login.failed", f"user:{user.id}")
    unit.session.add(user)


def open_session(unit: Unit, user_id: str, *, totp_step: int | None) -> tuple[str, LoginSession]:
    """登录. A new session, acting for the first organization. Returns the cookie's secret."""
    user = unit.session.get_one(User, user_id, with_for_update=True)
    if user.disabled_at is not None or (totp_step is not None and totp_step <= user.totp_step):
        raise WrongCredentials  # of two at once with one code, the second comes too late
    user.failures, user.locked_until = 0, None
    if totp_step is not None:
        user.totp_step = totp_step
    unit.session.add(user)
    mine = memberships(unit, user.id)
    secret = new_secret()
    session = LoginSession(
        secret_hash=hash_secret(secret),
        user_id=user.id,
        party_id=mine[0][1].id if mine else None,
        second_factor=totp_step is not None,
        csrf=new_secret(),
        created_at=clock.now(),
        expires_at=clock.now() + timedelta(hours=SESSION_HOURS),
    )
    unit.session.add(session)
    unit.record("session.opened", f"user:{user.id}")
    return secret, session


def end_session(unit: Unit, secret: str) -> None:
    """退出登录."""
    session = unit.session.get(LoginSession, hash_secret(secret))
    if session is not None:
        unit.session.delete(session)
        unit.record("session.ended", f"user:{session.user_id}")


def forget_ended(unit: Unit) -> None:
    """清理会话. Forget sessions and one-time links that ended a week ago."""
    for table in (LoginSession, OneTimeLink):
        unit.session.execute(sa.delete(table).where(col(table.expires_at) < clock.now() - timedelta(days=7)))
    unit.record("sessions.forgotten", "system:clock")


def end_other_sessions(unit: Unit, actor: Actor, secret: str) -> None:
    """结束其他会话. End every session of the actor but the one `secret` opened."""
    actor.require(Permission.SELF)
    unit.session.execute(
        sa.delete(LoginSession).where(
            col(LoginSession.user_id) == actor.id, col(LoginSession.secret_hash) != hash_secret(secret)
        )
    )
    unit.record("session.others_ended", f"user:{actor.id}")


def act_for(unit: Unit, actor: Actor, secret: str, party_id: str) -> None:
    """切换组织. Act for another organization one is a member of. Raises NotFound."""
    actor.require(Permission.SELF)
    if all(found.id != party_id for _, found in memberships(unit, actor.id)):
        raise NotFound(party=party_id)
    session = unit.session.get_one(LoginSession, hash_secret(secret))
    session.party_id = party_id
    unit.session.add(session)
    unit.record("session.switched", f"user:{actor.id}", party=party_id)


def keep_totp(unit: Unit, actor: Actor, *, sealed: str, step: int) -> None:
    """绑定动态口令. Keep a second factor whose first code (of `step`) was right."""
    actor.require(Permission.SELF)
    user = unit.session.get_one(User, actor.id, with_for_update=True)
    if user.totp_sealed is not None and not actor.second_factor:
        raise SecondFactorNeeded  # a bound factor is replaced only by who has it
    user.totp_sealed, user.totp_step = sealed, step
    unit.session.add(user)
    unit.record("user.totp_set", f"user:{user.id}")


def create_first_admin(unit: Unit, *, login: str, name: str, operator: PartyForm) -> str:
    """首位管理员. The platform's first administrator, with a one-time welcome link and no password."""
    found = unit.session.exec(select(Party).where(Party.org_kind == OrgKind.MARKET_OPERATOR)).first()
    owner = found or register_party(unit, operator)
    if not found:
        verify_at_birth(unit, owner, "平台运营方自身")
    user = create_user(unit, login=login, name=name)
    add_member(unit, user.id, owner, frozenset({Role.PLATFORM_ADMIN, Role.ORG_ADMIN}), invited_by=unit.actor)
    return make_link(unit, user, "welcome")
