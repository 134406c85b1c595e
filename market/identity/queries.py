"""Reads about people and parties."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import col, select

from market.identity.passwords import hash_secret
from market.identity.problems import LinkSpent
from market.identity.rules import GRANTS, Actor, OrgKind, Permission, Role, Verification
from market.identity.tables import LoginSession, Membership, OneTimeLink, Party, User
from metering.tables import Credential
from storage.kernel import clock
from storage.kernel.problem import NotFound
from storage.unit import View


def party(view: View, party_id: str) -> Party:
    """The party by id. Raises NotFound."""
    row = view.session.get(Party, party_id)
    if row is None:
        raise NotFound(party=party_id)
    return row


def parties(view: View, ids: set[str]) -> dict[str, Party]:
    """Several parties at once, by id."""
    rows = view.session.exec(select(Party).where(col(Party.id).in_(ids))).all()
    return {row.id: row for row in rows}


def user(view: View, user_id: str) -> User | None:
    """The person by id; None for a program or nobody."""
    return view.session.get(User, user_id)


def holders(view: View, permissions: Collection[Permission]) -> list[tuple[User, str]]:
    """有权人员. Everybody whose roles in some organization grant one of the permissions, with that organization."""
    able = {str(role) for role, granted in GRANTS.items() if granted.intersection(permissions)}
    query = (
        select(Membership, User)
        .where(Membership.user_id == User.id, col(User.disabled_at).is_(None))
        .order_by(col(Membership.created_at), col(User.id))
    )
    return [
        (row, found.party_id) for found, row in view.session.exec(query) if able.intersection(found.roles)
    ]


def role_names(view: View, actor: str, org: str | None) -> str | None:
    """角色留痕. The roles of an actor in an organization as the journal keeps them, joined by +."""
    if actor.startswith("system:"):
        return "system"
    if not actor.startswith("usr_"):
        return "program"
    return "+".join(sorted(_roles_in(view, actor, org))) or None if org else None


def members_of(view: View, party_id: str) -> set[str]:
    """The ids of everybody who belongs to an organization."""
    return set(view.session.exec(select(Membership.user_id).where(Membership.party_id == party_id)))


def verified(view: View, party_id: str) -> bool | None:
    """是否已核验. Whether a party's identity is verified now; None for one nobody knows."""
    row = view.session.get(Party, party_id)
    return None if row is None else row.verification is Verification.VERIFIED


def verified_of(view: View, kinds: frozenset[OrgKind]) -> list[Party]:
    """已核验机构. Verified organizations of these kinds, by name: to choose from in a form."""
    query = select(Party).where(col(Party.org_kind).in_(kinds), Party.verification == Verification.VERIFIED)
    return list(view.session.exec(query.order_by(col(Party.name))))


def people(view: View, ids: set[str]) -> dict[str, str]:
    """The names of several people at once, by id."""
    rows = view.session.exec(select(User.id, User.name).where(col(User.id).in_(ids))).all()
    return {user_id: name for user_id, name in rows}  # noqa: C416  # a Row is no pair to the type checker


def waiting_for_check(view: View) -> list[Party]:
    """待核验. Parties whose identity waits for a compliance officer, oldest first."""
    query = select(Party).where(Party.verification == Verification.PENDING).order_by(col(Party.created_at))
    return list(view.session.exec(query))


def user_by_login(view: View, login: str) -> User | None:
    """The user with this normalized login."""
    return view.session.exec(select(User).where(User.login == login)).first()


def users_at(view: View, domain: str) -> list[User]:
    """The users whose login is an address at `domain`, in the order they were made."""
    query = select(User).where(
        col(User.login).endswith(f"@{domain}", autoescape=True), col(User.disabled_at).is_(None)
    )
    return list(view.session.exec(query.order_by(col(User.id))))


def actor_by_login(view: View, login: str, permission: Permission) -> Actor:
    """The person with this login, acting for the organization in which they have `permission`.

    Raises NotFound for an unknown or disabled login, Forbidden when no membership grants it.
    """
    user = user_by_login(view, login)
    if user is None or user.disabled_at is not None:
        raise NotFound(login=login)
    parties_of = [membership.party_id for membership, _party in memberships(view, user.id)]
    actors = [actor_of(view, user, party_id, second_factor=False) for party_id in [*parties_of, None]]
    able = [actor for actor in actors if actor.may(permission)]
    if not able:
        actors[0].require(permission)  # refuses, naming the roles that have it
    return able[0]


def memberships(view: View, user_id: str) -> list[tuple[Membership, Party]]:
    """Which parties a user acts for, oldest membership first."""
    query = (
        select(Membership, Party)
        .where(Membership.party_id == Party.id, Membership.user_id == user_id)
        .order_by(col(Membership.created_at))
    )
    return list(view.session.exec(query))


def members(view: View, actor: Actor) -> list[tuple[Membership, User]]:
    """成员列表. The members of the actor's own organization."""
    actor.require(Permission.MEMBER_INVITE)
    query = (
        select(Membership, User)
        .where(Membership.user_id == User.id, Membership.party_id == actor.own_org)
        .order_by(col(Membership.created_at))
    )
    return list(view.session.exec(query))


def members_with(view: View, party_id: str, permission: Permission) -> list[User]:
    """有权成员. The people of an organization whose roles there grant `permission`, oldest membership first."""
    query = (
        select(Membership, User)
        .where(
            Membership.user_id == User.id, Membership.party_id == party_id, col(User.disabled_at).is_(None)
        )
        .order_by(col(Membership.created_at), col(User.id))
    )
    return [
        user
        for membership, user in view.session.exec(query)
        if any(permission in GRANTS[Role(role)] for role in membership.roles)
    ]


def administrators(view: View, party_id: str) -> list[str]:
    """组织管理员. The names of those who administer an organization."""
    query = (
        select(Membership, User)
        .where(
            Membership.user_id == User.id, Membership.party_id == party_id, col(User.disabled_at).is_(None)
        )
        .order_by(col(Membership.created_at))
    )
    return [user.name for membership, user in view.session.exec(query) if Role.ORG_ADMIN in membership.roles]


def sessions(view: View, user_id: str) -> list[LoginSession]:
    """会话. The sessions of a user that have not expired, newest first."""
    query = (
        select(LoginSession)
        .where(LoginSession.user_id == user_id, col(LoginSession.expires_at) > clock.now())
        .order_by(col(LoginSession.created_at).desc())
    )
    return list(view.session.exec(query))


def open_link(view: View, secret: str) -> tuple[str, User]:
    """What a one-time link is for (welcome, invite, reset) and whose it is. Raises LinkSpent."""
    link = view.session.get(OneTimeLink, hash_secret(secret))
    user = view.session.get(User, link.user_id) if link else None
    if link is None or user is None or link.used_at or link.expires_at <= clock.now() or user.disabled_at:
        raise LinkSpent
    return link.purpose, user


def session_and_actor(view: View, secret: str, now: datetime) -> tuple[LoginSession, User, Actor] | None:
    """Who holds this session cookie, or None when the session ended."""
    session = view.session.get(LoginSession, hash_secret(secret))
    if session is None or session.expires_at <= now:
        return None
    user = view.session.get(User, session.user_id)
    if user is None or user.disabled_at is not None:
        return None
    return session, user, actor_of(view, user, session.party_id, second_factor=session.second_factor)


PROGRAM_ROLES = frozenset({Role.BUYER, Role.DEALER, Role.OPERATOR, Role.PROVIDER})


def program_actor(view: View, credential: Credential) -> Actor:
    """程序. The actor a client credential is: it buys and supplies for its organization, and decides nothing.

    It has no role that one of the people who were shown a secret of it lacks: it is nobody's way around
    their own roles. Without any of them it may do nothing.
    """
    owner = party(view, credential.org_id)
    keepers = {credential.kept_by, credential.older_kept_by or credential.kept_by}
    held = [_roles_in(view, person, owner.id) for person in sorted(keepers)]
    return Actor(
        id=credential.id,
        org=owner.id,
        roles=PROGRAM_ROLES.intersection(*held),
        org_kind=owner.org_kind,
        party_verified=owner.verification is Verification.VERIFIED,
        keeper=credential.kept_by,
    )


def _roles_in(view: View, user_id: str, party_id: str) -> frozenset[Role]:
    """The roles of a person in an organization; none for who has left it or was blocked."""
    query = select(Membership).where(
        Membership.user_id == user_id,
        Membership.party_id == party_id,
        User.id == Membership.user_id,
        col(User.disabled_at).is_(None),
    )
    found = view.session.exec(query).first()
    return frozenset(Role(role) for role in found.roles) if found else frozenset()


def actor_of(view: View, user: User, party_id: str | None, *, second_factor: bool) -> Actor:
    """The actor a user is while acting for a party; no roles without a membership."""
    found = view.session.exec(
        select(Membership, Party).where(
            Membership.party_id == Party.id, Membership.user_id == user.id, Party.id == party_id
        )
    ).first()
    if found is None:
        return Actor(user.id, roles=frozenset({Role.CITIZEN}), second_factor=second_factor)
    membership, owner = found
    every = view.session.exec(select(Membership.party_id).where(Membership.user_id == user.id))
    return Actor(
        id=user.id,
        org=owner.id,
        roles=frozenset(Role(role) for role in membership.roles),
        org_kind=owner.org_kind,
        second_factor=second_factor,
        party_verified=owner.verification is Verification.VERIFIED,
        orgs=frozenset(every),
    )
