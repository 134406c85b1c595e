"""The frame around every page: navigation by role, the organizations one acts for, files of our own."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute, APIRouter
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from market.approvals.procedures import DESK as CASE_DESK
from market.http.render import environment
from market.http.who import house_of, visitor
from market.identity.queries import memberships
from market.identity.rules import SECOND_FACTOR, Actor, Permission, Role
from market.identity.tables import Membership, Party
from market.web.notices import NOTICES
from metering.words import told
from storage.kernel.words import Words

STATIC = Path(__file__).resolve().parents[1] / "static"
HTMX = Path(str(files("js_lib_htmx"))) / "static" / "htmx"


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation: who sees it (anybody when no permission is named)."""

    path: str
    words: Words
    permissions: tuple[Permission, ...] = ()

    def open_to(self, actor: Actor | None) -> bool:
        """Whether this reader may go there."""
        if not self.permissions:
            return True
        return actor is not None and any(actor.may(permission) for permission in self.permissions)


# Shown only once a page exists at the path, so that the order can be read here in one place.
PUBLIC = (
    Place("/catalog", Words("数据产品", "Data products")),
    Place("/open", Words("开放数据", "Open data")),
    Place("/lists", Words("开放与负面清单", "Open and negative lists")),
    Place("/mandates", Words("授权运营", "Mandates")),
    Place("/rules", Words("平台规则", "Rules")),
    Place("/policy/explain", Words("公益与商业分界", "Free or paid")),
    Place("/directory", Words("资源目录", "Directory")),
    Place("/notices", Words("登记公示", "Public notices")),
    Place("/verify", Words("凭证核验", "Verify a certificate")),
)
DESK = (
    Place("/assets", Words("数据资产", "Assets"), (Permission.ASSET_DRAFT, Permission.ASSET_REVIEW)),
    Place("/products", Words("产品与挂牌", "Products and listings"), (Permission.PRODUCT_BUILD,)),
    Place(
        "/approvals",
        Words("审批", "Approvals"),
        CASE_DESK,
    ),
    Place(
        "/requests", Words("我的申请", "My requests"), (Permission.LISTING_PROPOSE, Permission.ORDER_PLACE)
    ),
    Place("/desk/rules", Words("自动审批规则", "Automatic approval"), (Permission.CASE_RULES,)),
    Place("/screening", Words("保密审查", "Secrecy reviews"), (Permission.SECRECY_REVIEW,)),
    Place("/lists/edits", Words("清单修订", "Edits of lists"), (Permission.LIST_EDIT,)),
    Place("/caps", Words("准许收入", "Revenue caps"), (Permission.MANDATE_READ,)),
    Place("/compliance/parties", Words("主体核验", "Identity checks"), (Permission.PARTY_VERIFY,)),
    Place("/orders", Words("订单", "Orders"), (Permission.ORDER_READ,)),
    Place("/licenses", Words("许可", "Licenses"), (Permission.ORDER_READ, Permission.INVOICE_ISSUE)),
    Place("/usage", Words("用量", "Usage"), (Permission.USAGE_READ,)),
    Place(
        "/anomalies",
        Words("用量异常", "Unusual usage"),
        (Permission.LICENSE_SUSPEND, Permission.OFFER_ACCEPT),
    ),
    Place("/invoices", Words("账单", "Invoices"), (Permission.INVOICE_READ,)),
    Place("/payments", Words("收付款", "Payments"), (Permission.PAYMENT_READ, Permission.ORDER_PLACE)),
    Place("/journal", Words("流水", "Journal"), (Permission.JOURNAL_READ,)),
    Place("/people", Words("机构与用户", "Organizations and people"), (Permission.USER_KEEP,)),
)


class Frame:
    """What the base template asks: where one can go, for whom one acts, what just happened."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = frozenset(paths)

    def places(self, places: tuple[Place, ...], actor: Actor | None) -> list[Place]:
        """The entries that exist and are open to this reader."""
        return [place for place in places if place.path in self.paths and place.open_to(actor)]

    def public(self) -> list[Place]:
        """What everybody sees."""
        return self.places(PUBLIC, None)

    def desk(self, actor: Actor | None) -> list[Place]:
        """The reader's own work."""
        return self.places(DESK, actor)


def here(request: Request) -> str:
    """Path and query to come back to: of this page, or of the page whose form was sent."""
    url = urlsplit(str(request.url))
    if request.method != "GET":
        try:
            came = urlsplit(request.headers.get("referer", ""))
        except ValueError:
            came = urlsplit("/")
        url = came if came.netloc == request.headers.get("host") else urlsplit("/")
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


def organizations(request: Request) -> list[tuple[Membership, Party]]:
    """The memberships of the signed-in reader; none when the database is away, so that a page can say so."""
    known: list[tuple[Membership, Party]] | None = getattr(request.state, "organizations", None)
    if known is None:
        house = house_of(request)
        caller = visitor(request)
        known = []
        if caller.user is not None:
            try:
                with house.store.view() as view:
                    known = memberships(view, caller.user.id)
            except SQLAlchemyError:
                return []
        request.state.organizations = known
    return known


def needs_code(actor: Actor | None) -> bool:
    """Whether the reader's roles ask for a one-time code this session was opened without."""
    return actor is not None and bool(actor.roles & SECOND_FACTOR) and not actor.second_factor


def query_with(request: Request, **values: object) -> str:
    """The address of this page with some query parameters changed: for page links."""
    url = request.url.include_query_params(**values)
    return f"{url.path}?{url.query}"


@lru_cache(maxsize=64)
def asset(name: str) -> str:
    """The address of an own or vendored file, with its hash: it may be cached for ever."""
    folder, _, file = name.partition("/")
    content = ((STATIC if folder == "static" else HTMX) / file).read_bytes()
    return f"/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


def why(reason: str) -> Words:
    """A reason as people read it: a code of the gate in words, anything else as it was written."""
    return told(reason, None) or Words(reason, reason)


class Files(StaticFiles):
    """Files that never change under one address."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


def install(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Put the pages and their files into the application."""
    paths = set()
    for router in routers:
        app.include_router(router, include_in_schema=False)
        paths |= {route.path for route in router.routes if isinstance(route, APIRoute)}
    app.mount("/static", Files(directory=STATIC))
    app.mount("/vendor", Files(directory=HTMX))
    environment().globals.update(
        frame=Frame(paths),
        here=here,
        organizations=organizations,
        needs_code=needs_code,
        query_with=query_with,
        asset=asset,
        notices=NOTICES,
        why=why,
        Role=Role,
        brand=Words("数港", "Shugang"),
    )
