"""Who asks: a browser with a session cookie, or a program with an API token."""

import hmac
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request

from market.house import House
from market.http.problems import CsrfMissing
from market.http.uploads import is_upload
from market.identity.problems import SecondFactorNeeded, Unauthenticated
from market.identity.queries import session_and_actor
from market.identity.rules import SECOND_FACTOR, Actor, Permission
from market.identity.tables import LoginSession, User
from storage.kernel import clock
from storage.kernel.words import Lang

COOKIE = "shugang_session"
LANG_COOKIE = "shugang_lang"
SAFE = {"GET", "HEAD", "OPTIONS"}


class Visitor:
    """The caller of this request: nobody, a signed-in person, or a program."""

    def __init__(
        self, actor: Actor | None, user: User | None = None, session: LoginSession | None = None
    ) -> None:
        self.actor = actor
        self.user = user
        self.session = session
        self.secret = ""


def house_of(request: Request) -> House:
    """The house this request came to."""
    house: House = request.state.house
    return house


HouseDep = Annotated[House, Depends(house_of)]


def visitor(request: Request) -> Visitor:
    """Resolve the caller once per request. A bad API token is refused; a stale cookie is nobody."""
    # Called by the checks below rather than declared by each: the framework walks every declared chain per route.
    known: Visitor | None = getattr(request.state, "visitor", None)
    if known is None:
        known = _resolve(request, house_of(request))
        request.state.visitor = known
    return known


def _resolve(request: Request, house: House) -> Visitor:
    authorization = request.headers.get("authorization", "")
    if authorization[:7].lower() == "bearer ":
        return Visitor(house.program_of(authorization[7:].strip(), client_ip(request)))
    secret = request.cookies.get(COOKIE, "")
    if not secret:
        return Visitor(None)
    with house.store.view() as view:
        found = session_and_actor(view, secret, clock.now())
    if found is None:
        return Visitor(None)
    session, user, actor = found
    caller = Visitor(actor, user, session)
    caller.secret = secret
    return caller


VisitorDep = Annotated[Visitor, Depends(visitor)]


def same_token(sent: str, kept: str) -> bool:
    """Whether two tokens are equal, in constant time and whatever was sent."""
    return hmac.compare_digest(sent.encode("utf-8", "replace"), kept.encode())


def csrf_header(request: Request, caller: Visitor) -> None:
    """A browser's session may only write with its own `X-CSRF-Token`: another site cannot know it."""
    if request.method in SAFE or caller.session is None:
        return
    if not same_token(request.headers.get("x-csrf-token", ""), caller.session.csrf):
        raise CsrfMissing


async def csrf_field(request: Request, caller: VisitorDep) -> None:
    """The same for forms: the hidden field `csrf`. Multipart uploads check it while streaming."""
    if request.method in SAFE or caller.session is None:
        return
    if is_upload(request.scope):
        return  # market.http.body compares it before it keeps a byte
    form = await request.form()
    sent = form.get("csrf", "")
    if not isinstance(sent, str) or not same_token(sent, caller.session.csrf):
        raise CsrfMissing


def signed_in(request: Request) -> Actor:
    """The actor, or Unauthenticated."""
    actor = visitor(request).actor
    if actor is None:
        raise Unauthenticated
    return actor


ActorDep = Annotated[Actor, Depends(signed_in)]


def allow(*permissions: Permission) -> Any:
    """A route's permission: any one of these. Roles that move money or rights need the second factor."""

    def check(request: Request) -> None:
        actor = signed_in(request)
        if request.url.path.startswith("/api/"):
            csrf_header(request, visitor(request))
        if not any(actor.may(permission) for permission in permissions):
            actor.require(permissions[0])
        if actor.roles & SECOND_FACTOR and not actor.second_factor and Permission.SELF not in permissions:
            raise SecondFactorNeeded

    check.permissions = permissions  # type: ignore[attr-defined]  # read by the law that every route has one
    return Depends(check)


def client_ip(request: Request) -> str:
    """The address of the caller as the server saw it (proxies are resolved by the server's settings)."""
    return request.client.host if request.client else ""


def lang_of(request: Request) -> Lang:
    """The language to answer in: the switch, then Accept-Language, then Chinese."""
    chosen = request.cookies.get(LANG_COOKIE)
    if chosen in {"zh", "en"}:
        return "zh" if chosen == "zh" else "en"
    accepted = request.headers.get("accept-language", "zh").lower()
    return "en" if accepted.startswith("en") else "zh"


LangDep = Annotated[Lang, Depends(lang_of)]
Check = Callable[..., None]
