"""The demo's people on the sign-in page; mounted only where the operator asked for a demo, on loopback."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from market.house import House
from market.http.who import COOKIE, HouseDep, client_ip
from market.identity.actions import open_session
from market.identity.queries import memberships, users_at
from market.identity.rules import Role
from market.identity.tables import Membership, Party, User
from market.web.forms import GUARDED, FormDep, leave, local
from storage.kernel.problem import NotFound

router = APIRouter(prefix="/demo", dependencies=GUARDED)
DOMAIN = "demo.shugang.example"
SESSION_SECONDS = 12 * 3600
Account = tuple[User, list[tuple[Membership, Party]], list[Role]]


def accounts(house: House) -> list[Account]:
    """The demo's people with their organizations and roles; nobody unless this market is a demo."""
    if not house.settings.demo:
        return []
    with house.store.view() as view:
        found = []
        for user in users_at(view, DOMAIN):
            mine = memberships(view, user.id)
            roles = [Role(name) for name in mine[0][0].roles] if mine else [Role.CITIZEN]
            found.append((user, mine, roles))
    return found


def _on_this_machine(request: Request) -> bool:
    """Asked from this machine, by one of its own names: another site's name may point here too."""
    here = {"127.0.0.1", "::1", "localhost"}
    return client_ip(request) in here and request.url.hostname in here


@router.post("/login")
def sign_in(request: Request, house: HouseDep, form: FormDep) -> Response:
    """体验登录 · A session for one of the demo's people, with the second factor taken as given. Raises NotFound."""
    if not (house.settings.demo and _on_this_machine(request)):
        raise NotFound
    chosen = next((user for user, _mine, _roles in accounts(house) if user.id == form["user"]), None)
    if chosen is None:
        raise NotFound(user=form["user"])
    with house.store.unit(chosen.id) as unit:
        secret, _session = open_session(unit, chosen.id, totp_step=chosen.totp_step + 1)
    answer = leave(local(form["next"] or "/"))
    answer.set_cookie(
        COOKIE, secret, max_age=SESSION_SECONDS, httponly=True, samesite="lax", secure=False, path="/"
    )
    return answer
