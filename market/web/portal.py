"""The first page, the language switch, and the mail of a market that runs on one machine."""

import email
import email.policy
import ipaddress
import re
from email.message import EmailMessage

import markupsafe
from fastapi import APIRouter, Request
from fastapi.responses import Response

from contracts.terms import Tier
from market.catalogue import queries as catalogue
from market.catalogue.rules import Zone
from market.http.render import page
from market.http.who import LANG_COOKIE, HouseDep, VisitorDep, client_ip
from market.identity import queries
from market.identity.rules import Permission, Verification
from market.settings import Settings
from market.web.forms import GUARDED, leave, local
from market.web.frame import needs_code
from storage.kernel.problem import NotFound

router = APIRouter(dependencies=GUARDED)
SHOWN_MAILS = 50


@router.get("/")
def portal(request: Request, house: HouseDep, caller: VisitorDep) -> Response:
    """首页 · What the market offers, and the reader's next steps."""
    owner = None
    if caller.actor is not None and caller.actor.org is not None:
        with house.store.view() as view:
            owner = queries.party(view, caller.actor.org)
    unverified = (
        owner is not None
        and caller.actor is not None
        and caller.actor.may(Permission.PARTY_EDIT)
        and owner.verification in {Verification.UNVERIFIED, Verification.REJECTED}
    )
    with house.store.view() as view:
        found = catalogue.search(view, per_page=6)
        providers = queries.parties(view, {row.provider_id for row in found.products})
    return page(
        request,
        "portal.html",
        owner=owner,
        unverified=unverified,
        code_missing=needs_code(caller.actor),
        found=found,
        providers=providers,
        zones=[(Zone(zone), count) for zone, count in found.facets["zone"].items()],
        tiers=[(tier, found.facets["tier"].get(tier.value, 0)) for tier in Tier],
    )


@router.get("/lang/{lang}")
def switch_language(request: Request, lang: str, next: str = "/") -> Response:  # noqa: A002  # the address says so
    """语言 · Keep the language for a year and go back to where the reader was."""
    if lang not in {"zh", "en"}:
        raise NotFound(lang=lang)
    answer = leave(local(next))
    keep_language(request, answer, lang)
    return answer


def keep_language(request: Request, answer: Response, lang: str) -> None:
    """Keep the language of the pages in this browser for a year."""
    secure = request.url.scheme == "https"
    answer.set_cookie(LANG_COOKIE, lang, max_age=365 * 86400, samesite="lax", secure=secure, httponly=True)


def inbox_is_open(settings: Settings, address: str) -> bool:
    """Whether mail may be read here: kept as files on an embedded market, asked for from this very machine."""
    if settings.mode != "embedded" or settings.mail.url:
        return False
    try:
        return ipaddress.ip_address(address).is_loopback and settings.host in {
            "127.0.0.1",
            "::1",
            "localhost",
        }
    except ValueError:
        return False


@router.get("/inbox")
def inbox(request: Request, house: HouseDep) -> Response:
    """邮件 · The mail of an embedded market, newest first."""
    if not inbox_is_open(house.settings, client_ip(request)):
        raise NotFound
    folder = house.settings.data_dir / "mail"
    newest = sorted(folder.glob("*.eml"), reverse=True)[:SHOWN_MAILS]
    return page(request, "inbox.html", mails=[_readable(path.read_bytes()) for path in newest])


def _readable(raw: bytes) -> dict[str, object]:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain",))
    return {
        "to": str(message["To"]),
        "subject": str(message["Subject"]),
        "at": message["Date"].datetime,
        "text": linked(str(body.get_content()) if body else ""),
    }


def linked(text: str) -> markupsafe.Markup:
    """Escaped text with its web addresses as links."""
    out = markupsafe.Markup()
    for part in re.split(r"(https?://[^\s<>\"']+)", text):
        address = part.startswith(("http://", "https://"))
        out += markupsafe.Markup('<a href="{0}">{0}</a>').format(part) if address else markupsafe.escape(part)
    return out
