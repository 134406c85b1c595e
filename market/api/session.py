"""Signing in and out, and one's own account, for programs that act as a browser does."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from market.http.who import COOKIE, ActorDep, HouseDep, VisitorDep, allow
from market.http.work import Work
from market.identity import actions, entrance
from market.identity.rules import Permission
from storage.kernel.problem import invalid
from storage.kernel.words import Lang

router = APIRouter(tags=["session"])


class SignIn(BaseModel, extra="forbid"):
    login: str = Field(max_length=254)
    password: str = Field(max_length=128)
    code: str = Field("", max_length=10, description="动态口令 one-time code, when bound")


class SessionView(BaseModel):
    csrf: str = Field(description="Send as X-CSRF-Token with every write.")
    second_factor: bool


class Whoami(BaseModel):
    id: str
    org: str | None
    roles: list[str]
    permissions: list[str]
    second_factor: bool


class NewPassword(BaseModel, extra="forbid"):
    old: str = Field(max_length=128)
    new: str = Field(max_length=128)


class Language(BaseModel, extra="forbid"):
    lang: Lang


class ResetRequest(BaseModel, extra="forbid"):
    login: str = Field(max_length=254)


class LinkPassword(BaseModel, extra="forbid"):
    link: str = Field(max_length=100)
    password: str = Field(max_length=128)


class Switch(BaseModel, extra="forbid"):
    party: str


class TotpOffer(BaseModel):
    secret: str
    uri: str


class TotpKept(BaseModel, extra="forbid"):
    secret: str = Field(max_length=64)
    code: str = Field(max_length=10)


def keep_cookie(response: Response, secret: str, *, secure: bool) -> None:
    """The session cookie: not readable by scripts, not sent from other sites."""
    response.set_cookie(
        COOKIE, secret, max_age=12 * 3600, httponly=True, samesite="lax", secure=secure, path="/"
    )


@router.post("/session", status_code=201)
def sign_in(house: HouseDep, body: SignIn, response: Response) -> SessionView:
    """登录 · Sign in; five failures lock the account for fifteen minutes."""
    secret, session = entrance.sign_in(house.store, house.secret, body.login, body.password, body.code)
    keep_cookie(response, secret, secure=house.settings.public_url.startswith("https://"))
    return SessionView(csrf=session.csrf, second_factor=session.second_factor)


@router.delete("/session", status_code=204, dependencies=[allow(Permission.SELF)])
def sign_out(house: HouseDep, caller: VisitorDep, response: Response) -> None:
    """退出 · End this session."""
    entrance.sign_out(house.store, caller.secret)
    response.delete_cookie(COOKIE, path="/")


@router.get("/whoami", dependencies=[allow(Permission.SELF)])
def whoami(actor: ActorDep) -> Whoami:
    """我是谁 · Who the caller is and what it may do."""
    return Whoami(
        id=actor.id,
        org=actor.org,
        roles=sorted(str(role) for role in actor.roles),
        permissions=[str(permission) for permission in Permission if actor.may(permission)],
        second_factor=actor.second_factor,
    )


@router.put("/session/party", status_code=204, dependencies=[allow(Permission.SELF)])
def switch(work: Work, caller: VisitorDep, body: Switch) -> None:
    """切换组织 · Act for another organization of yours."""
    entrance.switch(work.house.store, work.actor, caller.secret, body.party)


@router.put("/language", status_code=204, dependencies=[allow(Permission.SELF)])
def choose_language(work: Work, body: Language) -> None:
    """邮件语言 · The language of the mails to you."""
    with work.unit() as unit:
        actions.choose_language(unit, work.actor, body.lang)


@router.put("/password", status_code=204, dependencies=[allow(Permission.SELF)])
def change_password(work: Work, body: NewPassword) -> None:
    """修改密码 · Change the password; every session ends."""
    entrance.change_password(work.house.store, work.actor, body.old, body.new)


@router.post("/password-reset", status_code=202)
def ask_reset(house: HouseDep, body: ResetRequest) -> None:
    """申请重置 · Mail a reset link, if there is such a login; the answer is the same either way."""
    entrance.ask_reset(house.store, body.login)


@router.post("/password-link", status_code=204)
def use_link(house: HouseDep, body: LinkPassword) -> None:
    """使用链接设置密码 · Set the password a one-time link allows."""
    entrance.use_link(house.store, body.link, body.password)


@router.post("/totp", dependencies=[allow(Permission.SELF)])
def offer_totp(request: Request, caller: VisitorDep) -> TotpOffer:
    """绑定动态口令 · A new secret for an authenticator app; nothing is kept before its first code is right."""
    if caller.user is None:
        raise invalid(
            "session", "person", "只有个人账户可以绑定。", f"Only people bind a code ({request.method})."
        )
    secret, uri = entrance.offer_totp(caller.user.login)
    return TotpOffer(secret=secret, uri=uri)


@router.put("/totp", status_code=204, dependencies=[allow(Permission.SELF)])
def keep_totp(work: Work, body: TotpKept) -> None:
    """确认动态口令 · Keep the secret once a code made from it is right."""
    entrance.keep_totp(work.house.store, work.house.secret, work.actor, body.secret, body.code)
