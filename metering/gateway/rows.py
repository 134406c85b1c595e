"""查询 Rows: paid ones leave only after their charge is durable; open ones are free and only counted."""

from starlette.requests import Request
from starlette.responses import Response

from contracts.terms import Tier
from metering.gate import Charge, charge_key, new_charge_key
from metering.gateway.answers import etag_matches
from metering.gateway.pages import PageDesk, Question, headers
from metering.gateway.plane import Plane
from metering.shelf import refuse
from metering.tables import ShelfItem
from metering.tokens import AUD_COMMERCIAL, AUD_OPEN, Access
from metering.words import Kind, Settled
from storage.kernel import clock

# May be kept, but is asked about each time: a license may have ended, a version may be new.
_PRIVATE = {"Cache-Control": "private, no-cache"}
_PUBLIC = {"Cache-Control": "public, no-cache"}


class RowsDoor:
    """The two ways to rows. One per gateway, because its desk remembers pages."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._desk = PageDesk(plane)

    async def paid(self, request: Request, product: str) -> Response:
        """Rows under a license: read, charge, then send. HEAD and 304 cost nothing and need the license, too."""
        plane = self._plane
        access = await plane.access(request, AUD_COMMERCIAL)
        limits = plane.paid_burst.take(access.client_id) | _PRIVATE
        given = request.headers.get("idempotency-key")
        key = charge_key(given) if given is not None else new_charge_key()
        uncharged = request.method == "HEAD" or "if-none-match" in request.headers
        item, pinned = await plane.in_thread(self._allowed, product, access, fresh=uncharged)
        question = await self._desk.question(request, item, pinned)
        if uncharged and (answer := _without_rows(request, question, limits)):
            return answer
        ready = await self._desk.page(question)
        receipt = await plane.till.charge_async(
            Charge(
                license_id=access.license_id or "",
                product_id=access.product_id or "",
                credential_id=access.client_id,
                jti=access.jti,
                purpose=access.purpose,
                kind=Kind.ROWS,
                key=key,
                fingerprint=question.fingerprint,
                calls=1,
                rows=ready.rows,
                size=len(ready.body),
            )
        )
        said = limits | ready.headers | {"X-Charge-Id": receipt.charge_id}
        if receipt.left_calls is not None:
            said["X-Quota-Remaining"] = str(receipt.left_calls)
        if receipt.left_rows is not None:
            said["X-Quota-Remaining-Rows"] = str(receipt.left_rows)
        if receipt.outcome is Settled.DUPLICATE:
            said["X-Charge-Duplicate"] = "true"
        return Response(ready.body, 200, said)

    def _allowed(self, product: str, access: Access, *, fresh: bool) -> tuple[ShelfItem, int | None]:
        shelf = self._plane.shelf
        item = shelf.item(product, Tier.COMMERCIAL, fresh=fresh)
        standing = shelf.standing(access, fresh=fresh)
        refuse(standing, item, access, "api", clock.now())
        return item, standing.gate.pinned_version

    async def open(self, request: Request, product: str) -> Response:
        """Rows of a public-good product: no account, no charge."""
        plane = self._plane
        limits = plane.open_burst.take(plane.address(request))
        item = await plane.in_thread(plane.shelf.item, product, Tier.PUBLIC_GOOD, fresh=True)
        pinned = await open_allowed(plane, request, item)
        limits |= _PRIVATE if is_conditional(item) else _PUBLIC
        question = await self._desk.question(request, item, pinned)
        if answer := _without_rows(request, question, limits):
            return answer
        ready = await self._desk.page(question)
        plane.open_count.count(item.product_id, Kind.ROWS, rows=ready.rows, size=len(ready.body))
        return Response(ready.body, 200, limits | ready.headers)


def _without_rows(request: Request, question: Question, limits: dict[str, str]) -> Response | None:
    """The answer that needs no page: what the caller has is right, or only the headers are wanted."""
    if etag_matches(request.headers.get("if-none-match"), question.etag):
        return Response(None, 304, limits | headers(question))
    return Response(None, 200, limits | headers(question)) if request.method == "HEAD" else None


def is_conditional(item: ShelfItem) -> bool:
    """Whether open data asks for an accepted license first."""
    return bool(item.license_note.get("conditional"))


async def open_allowed(plane: Plane, request: Request, item: ShelfItem) -> int | None:
    """Let everybody in, unless the product asks for an accepted license: then the bearer of an open token.

    Returns the version the license is pinned to, if any.
    """
    if not is_conditional(item):
        return None
    access = await plane.access(request, AUD_OPEN)
    standing = await plane.in_thread(plane.shelf.standing, access, fresh=True)
    refuse(standing, item, access, "api" if request.url.path.endswith("/rows") else "file", clock.now())
    return standing.gate.pinned_version
