"""Verbs about who acts for an organization: people are invited and removed."""

import sqlalchemy as sa
from sqlmodel import col

from market.identity import actions
from market.identity.problems import AlreadyRegistered
from market.identity.queries import memberships, party, user_by_login
from market.identity.rules import Actor, Permission, Role, normal_email
from market.identity.tables import LoginSession, Membership
from metering.actions import end_credentials_of
from storage.kernel.problem import NotFound, invalid
from storage.kernel.words import Lang, Words
from storage.unit import Unit


def invite_member(
    unit: Unit, actor: Actor, *, login: str, name: str, roles: frozenset[Role], lang: Lang = "zh"
) -> str:
    """邀请成员. Invite somebody into the actor's organization. Returns the one-time secret to mail.

    lang: of the mails to somebody new here, until they choose; who is known keeps their own.
    """
    actor.require(Permission.MEMBER_INVITE)
    owner = party(unit, actor.own_org)
    email = normal_email(login) or ""
    user = user_by_login(unit, email) or actions.create_user(unit, login=login, name=name, lang=lang)
    if any(found.id == owner.id for _, found in memberships(unit, user.id)):
        raise AlreadyRegistered(Words("该用户已是成员。", "This user is a member already."))
    actions.add_member(unit, user.id, owner, roles, invited_by=actor.id)
    secret = actions.make_link(unit, user, "invite")
    actions.send_mail(unit, user, "invite", {"secret": secret, "org": owner.id})
    return secret


def remove_member(unit: Unit, actor: Actor, membership_id: str) -> None:
    """移除成员. End a membership; sessions acting for the organization and the credentials kept for it end at once.

    Raises NotFound for another organization's member, Invalid for removing oneself.
    """
    actor.require(Permission.MEMBER_INVITE)
    row = unit.session.get(Membership, membership_id)
    if row is None or row.party_id != actor.own_org:
        raise NotFound(member=membership_id)
    if row.user_id == actor.id:
        raise invalid("member", "member.self", "不能移除自己。", "You cannot remove yourself.")
    unit.session.execute(
        sa.delete(LoginSession).where(
            col(LoginSession.user_id) == row.user_id, col(LoginSession.party_id) == row.party_id
        )
    )
    end_credentials_of(unit, row.user_id, org_id=row.party_id, reason="its keeper left the organization")
    unit.session.delete(row)
    unit.record("member.removed", f"party:{row.party_id}", user=row.user_id)
