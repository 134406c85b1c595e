"""The ways in, where the slow argon2 happens before a Unit opens: sign-in, passwords, second factor."""

from market.identity import actions, passwords
from market.identity.problems import AccountLocked, WrongCredentials
from market.identity.queries import user_by_login
from market.identity.rules import Actor, Permission, normal_email, password_faults
from market.identity.tables import LoginSession, Party, User
from storage.kernel import clock
from storage.kernel.problem import Invalid, invalid
from storage.kernel.words import Lang
from storage.unit import Store


def sign_in(store: Store, key: str, login: str, password: str, code: str) -> tuple[str, LoginSession]:
    """登录. Check password and, when bound, the one-time code; open a session.

    Returns the cookie's secret and the session. Raises WrongCredentials, AccountLocked.
    """
    with store.view() as view:
        user = user_by_login(view, normal_email(login) or "")
    if user is not None and user.locked_until is not None and user.locked_until > clock.now():
        raise AccountLocked
    matches = passwords.password_matches(password, user.password_hash if user else None)
    if user is None or not matches or user.disabled_at is not None:
        _count_failure(store, user)
        raise WrongCredentials
    step = None
    if user.totp_sealed is not None:
        step = passwords.accepted_step(code, user.totp_sealed, key, user.totp_step)
        if step is None:
            _count_failure(store, user)
            raise WrongCredentials
    with store.unit(user.id) as unit:
        return actions.open_session(unit, user.id, totp_step=step)


def _count_failure(store: Store, user: User | None) -> None:
    if user is not None:
        with store.unit("system:entrance") as unit:
            actions.note_failure(unit, user.id)


def sign_out(store: Store, secret: str) -> None:
    """退出."""
    with store.unit("system:entrance") as unit:
        actions.end_session(unit, secret)


def switch(store: Store, actor: Actor, secret: str, party_id: str) -> None:
    """切换组织."""
    with store.unit(actor.id, actor.org) as unit:
        actions.act_for(unit, actor, secret, party_id)


def _hashed(password: str, login: str) -> str:
    if faults := password_faults(password, login):
        raise Invalid(*faults)
    return passwords.hash_password(password)


def register_enterprise(
    store: Store, form: actions.PartyForm, *, login: str, name: str, password: str, lang: Lang = "zh"
) -> tuple[User, Party]:
    """企业自助注册. Raises Invalid, AlreadyRegistered."""
    hashed = _hashed(password, login)
    with store.unit("system:entrance") as unit:
        return actions.register_enterprise(
            unit, form, login=login, name=name, password_hash=hashed, lang=lang
        )


def change_password(store: Store, actor: Actor, old: str, new: str) -> None:
    """修改密码. Raises WrongCredentials for a wrong old password, Invalid for a weak new one."""
    actor.require(Permission.SELF)
    with store.view() as view:
        user = view.session.get_one(User, actor.id)
    if user.locked_until is not None and user.locked_until > clock.now():
        raise AccountLocked
    if not passwords.password_matches(old, user.password_hash):
        _count_failure(store, user)
        raise WrongCredentials
    hashed = _hashed(new, user.login)
    with store.unit(actor.id, actor.org) as unit:
        actions.change_password(unit, actor, password_hash=hashed)


def ask_reset(store: Store, login: str) -> None:
    """申请重置密码."""
    with store.unit("system:entrance") as unit:
        actions.ask_reset(unit, login)


def use_link(store: Store, secret: str, password: str) -> User:
    """使用一次性链接. Raises LinkSpent, Invalid."""
    hashed = _hashed(password, "")
    with store.unit("system:entrance") as unit:
        return actions.set_password_by_link(unit, secret, password_hash=hashed)


def offer_totp(login: str) -> tuple[str, str]:
    """A fresh second-factor secret and its `otpauth://` address; nothing is kept."""
    secret = passwords.new_totp()
    return secret, passwords.totp_uri(secret, login)


def keep_totp(store: Store, key: str, actor: Actor, secret: str, code: str) -> None:
    """绑定动态口令. Raises Invalid when the code was not made from the secret."""
    try:
        sealed = passwords.seal_totp(secret, key)
        step = passwords.accepted_step(code, sealed, key, 0)
    except ValueError:  # not base 32
        step = None
    if step is None:
        raise invalid("code", "totp", "动态口令不正确，请重试。", "The code is not right; try again.")
    with store.unit(actor.id, actor.org) as unit:
        actions.keep_totp(unit, actor, sealed=sealed, step=step)
