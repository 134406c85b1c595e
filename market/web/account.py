"""One's own account: password, one-time code, sessions, and the organization acted for."""

import io

import markupsafe
import segno
from fastapi import APIRouter, Request
from fastapi.responses import Response

from market.http.render import page
from market.http.who import COOKIE, ActorDep, HouseDep, Visitor, VisitorDep, allow
from market.identity import actions, entrance, passwords, queries
from market.identity.rules import Permission
from market.identity.tables import User
from market.web.forms import GUARDED, FormDep, again, leave, local
from market.web.portal import keep_language
from storage.kernel.problem import Fault, Invalid, NotFound, invalid
from storage.kernel.words import Lang, Words

LANGS: dict[str, Lang] = {"zh": "zh", "en": "en"}
router = APIRouter(prefix="/account", dependencies=[*GUARDED, allow(Permission.SELF)])


def _person(caller: Visitor) -> User:
    if caller.user is None:  # a program has no account page
        raise NotFound
    return caller.user


@router.get("")
def account(request: Request, house: HouseDep, caller: VisitorDep, form: FormDep) -> Response:
    """账户安全 · Password, one-time code, sessions."""
    user = _person(caller)
    with house.store.view() as view:
        sessions = queries.sessions(view, user.id)
    present = caller.session.secret_hash if caller.session else ""
    return page(request, "account.html", form=form, sessions=sessions, present=present)


@router.post("/password")
@again(account)
def change_password(
    request: Request, house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep
) -> Response:
    """修改密码 · Change the password; every session ends."""
    if form.raw("password") != form.raw("repeat"):
        words = Words("两次输入的密码不一致。", "The two passwords differ.")
        raise Invalid(Fault("repeat", "password.repeat", words))
    entrance.change_password(house.store, actor, form.raw("old"), form.raw("password"))
    answer = leave("/login", done="password_set")
    answer.delete_cookie(COOKIE, path="/")
    return answer


@router.post("/language")
@again(account)
def choose_language(
    request: Request, house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep
) -> Response:
    """邮件语言 · The language of the mails; the pages follow."""
    lang = LANGS.get(form["lang"])
    if lang is None:
        raise invalid("lang", "required", "请选择语言。", "Choose a language.")
    with house.store.unit(actor.id, actor.org) as unit:
        actions.choose_language(unit, actor, lang)
    answer = leave("/account", done="language_chosen")
    keep_language(request, answer, lang)
    return answer


@router.get("/totp")
def totp(request: Request, caller: VisitorDep, form: FormDep) -> Response:
    """绑定动态口令 · A new secret as a picture; nothing is kept before its first code is right."""
    user = _person(caller)
    secret = form["secret"] if form.problem and _is_secret(form["secret"]) else passwords.new_totp()
    return page(
        request,
        "totp.html",
        form=form,
        secret=secret,
        picture=qr(passwords.totp_uri(secret, user.login)),
        bound=user.totp_sealed is not None,
    )


def _is_secret(text: str) -> bool:
    return text.isalnum() and text.isascii() and 16 <= len(text) <= 64


def qr(text: str) -> markupsafe.Markup:
    """`text` as a QR code in SVG, without inline styles."""
    out = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    # Without a fixed size it scales inside its box; a fixed one would be cut off.
    code.save(
        out, kind="svg", omitsize=True, xmldecl=False, nl=False, light="#fff", svgclass="qr", lineclass=None
    )
    return markupsafe.Markup(out.getvalue().decode())  # noqa: S704  # segno wrote it, from modules only


@router.post("/totp")
@again(totp)
def keep_totp(
    request: Request, house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep
) -> Response:
    """绑定动态口令 · Keep the secret once a code made from it is right."""
    entrance.keep_totp(house.store, house.secret, actor, form["secret"], form["code"])
    return leave("/account", done="totp_set")


@router.post("/sessions/end-others")
def end_others(house: HouseDep, actor: ActorDep, caller: VisitorDep) -> Response:
    """结束其他会话 · End every session of mine but this one."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.end_other_sessions(unit, actor, caller.secret)
    return leave("/account", done="others_ended")


@router.post("/organization")
def switch(house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep) -> Response:
    """切换组织 · Act for another organization of mine."""
    entrance.switch(house.store, actor, caller.secret, form["party"])
    return leave(local(form["next"] or "/"), done="switched")
