"""People for tests: organizations and members made through the same actions the faces call."""

from dataclasses import dataclass

from starlette.testclient import TestClient

from market.identity import actions, passwords
from market.identity.queries import actor_of
from market.identity.rules import Actor, OrgKind, Role
from market.identity.tables import Party, User
from storage.kernel.numbers import make_uscc
from storage.unit import Store

PASSWORD = "a long enough pass"
_HASH = passwords.hash_password(PASSWORD)


@dataclass(frozen=True)
class Person:
    """A member with everything a test needs of them."""

    user: User
    party: Party
    actor: Actor


def organization(store: Store, kind: OrgKind, name: str, *, verified: bool = True) -> Party:
    """A verified organization whose USCC follows from its name."""
    body = f"91370200{sum(name.encode()) * 7919 % 10**9:09d}"
    with store.unit("system:test") as unit:
        party = actions.register_party(
            unit, actions.PartyForm(name=name, id_number=make_uscc(body), org_kind=kind)
        )
        if verified:
            actions.verify_at_birth(unit, party, "测试设定")
    return party


def person(store: Store, party: Party, login: str, *roles: Role) -> Person:
    """A member with a password, acting with the second factor."""
    with store.unit("system:test") as unit:
        user = actions.create_user(unit, login=login, name=login.partition("@")[0], password_hash=_HASH)
        actions.add_member(unit, user.id, party, frozenset(roles), invited_by=user.id)
        actor = actor_of(unit, user, party.id, second_factor=True)
    return Person(user, party, actor)


def sign_in(client: TestClient, store: Store, key: str, who: Person) -> None:
    """Sign `who` in on this client, with the second factor bound when a role asks for it."""
    code = ""
    with store.view() as view:
        sealed = view.session.get_one(User, who.user.id).totp_sealed
    if sealed is None:
        secret = passwords.new_totp()
        with store.unit(who.user.id) as unit:
            actions.keep_totp(unit, who.actor, sealed=passwords.seal_totp(secret, key), step=0)
        code = passwords.totp_now(secret)
    answer = client.post(
        "/api/v1/session", json={"login": who.user.login, "password": PASSWORD, "code": code}
    )
    assert answer.status_code == 201, answer.text
    client.headers["X-CSRF-Token"] = answer.json()["csrf"]
