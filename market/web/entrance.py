"""The ways in: sign-in, self-registration of an enterprise, passwords by one-time link."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from market.http.render import page
from market.http.who import COOKIE, HouseDep, VisitorDep, allow, lang_of
from market.identity import entrance, queries
from market.identity.actions import PartyForm
from market.identity.rules import OrgKind, Permission
from market.web.demo import accounts
from market.web.forms import GUARDED, Form, FormDep, again, leave, local
from storage.kernel.problem import Fault, Invalid, invalid
from storage.kernel.words import Words

router = APIRouter(dependencies=GUARDED)
SESSION_SECONDS = 12 * 3600


@router.get("/login")
def login(request: Request, house: HouseDep, form: FormDep) -> Response:
    """登录 · The sign-in form, and the demo's people where this is a demo."""
    return page(request, "login.html", form=form, demo=accounts(house))


@router.post("/login")
@again(login)
def sign_in(request: Request, house: HouseDep, form: FormDep) -> Response:
    """登录 · Open a session and go where the reader wanted to go."""
    secret, _session = entrance.sign_in(
        house.store, house.secret, form["login"], form.raw("password"), form["code"]
    )
    answer = leave(local(form["next"] or "/"))
    secure = house.settings.public_url.startswith("https://")
    answer.set_cookie(
        COOKIE, secret, max_age=SESSION_SECONDS, httponly=True, samesite="lax", secure=secure, path="/"
    )
    return answer


@router.post("/logout", dependencies=[allow(Permission.SELF)])
def sign_out(house: HouseDep, caller: VisitorDep) -> Response:
    """退出 · End this session."""
    entrance.sign_out(house.store, caller.secret)
    return _forgotten(leave("/login", done="signed_out"))


def _forgotten(answer: RedirectResponse) -> RedirectResponse:
    answer.delete_cookie(COOKIE, path="/")
    return answer


@router.get("/register")
def registration(request: Request, form: FormDep) -> Response:
    """企业注册 · The form."""
    return page(request, "register.html", form=form)


@router.post("/register")
@again(registration)
def register(request: Request, house: HouseDep, form: FormDep) -> Response:
    """企业注册 · A new enterprise and its first member."""
    _agreed(form)
    party = PartyForm(
        name=form["name"],
        id_number=form["id_number"],
        org_kind=OrgKind.ENTERPRISE,
        address=form["address"][:200],
        legal_representative=form["legal_representative"][:60],
        contact=form["person"][:60],
        phone=form["phone"][:40],
        email=form["login"][:254],
    )
    user, _party = entrance.register_enterprise(
        house.store,
        party,
        login=form["login"],
        name=form["person"],
        password=form.raw("password"),
        lang=lang_of(request),
    )
    return leave("/login", done="registered", login=user.login)


def _agreed(form: Form) -> None:
    faults = []
    if form.raw("password") != form.raw("repeat"):
        faults.append(_different())
    if not form["agree"]:
        words = Words("请阅读并同意平台规则。", "Read and accept the rules of the market.")
        faults.append(Fault("agree", "required", words))
    if faults:
        raise Invalid(*faults)


def _different() -> Fault:
    return Fault("repeat", "password.repeat", Words("两次输入的密码不一致。", "The two passwords differ."))


@router.get("/forgot")
def forgot(request: Request, form: FormDep) -> Response:
    """找回密码 · The form."""
    return page(request, "forgot.html", form=form)


@router.post("/forgot")
@again(forgot)
def ask_reset(request: Request, house: HouseDep, form: FormDep) -> Response:
    """找回密码 · Mail a reset link; the answer is the same whether the login exists or not."""
    if not form["login"]:
        raise invalid("login", "required", "请填写邮箱。", "Write your e-mail.")
    entrance.ask_reset(house.store, form["login"])
    return leave("/forgot", done="reset_asked")


@router.get("/link/{secret}")
def link(request: Request, house: HouseDep, form: FormDep, secret: str) -> Response:
    """设置密码 · What a one-time link is for. Raises LinkSpent."""
    with house.store.view() as view:
        purpose, user = queries.open_link(view, secret)
    return page(request, "link.html", form=form, purpose=purpose, login=user.login)


@router.post("/link/{secret}")
@again(link)
def use_link(request: Request, house: HouseDep, form: FormDep, secret: str) -> Response:
    """设置密码 · Set the password the link allows."""
    if form.raw("password") != form.raw("repeat"):
        raise Invalid(_different())
    user = entrance.use_link(house.store, secret, form.raw("password"))
    return _forgotten(leave("/login", done="password_set", login=user.login))
