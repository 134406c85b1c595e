"""查询 Rows: paid ones leave only after their charge is durable; open ones are free and only counted."""

from starlette.requests import Request

from contracts.terms import Tier
from metering.gate import charge_key
from metering.gateway.again import Again, Asker
from metering.gateway.answers import PRIVATE, PUBLIC, WholeAnswer, etag_matches
from metering.gateway.flights import Flights
from metering.gateway.pages import PageDesk, Question, head
from metering.gateway.plane import Plane
from metering.problems import LicenseNotInForce
from metering.shelf import Allowed, goods_of, on_side, refuse
from metering.tables import ShelfItem
from metering.tokens import AUD_COMMERCIAL, AUD_OPEN, Access
from metering.words import Kind
from storage.kernel import clock


class RowsDoor:
    """The two ways to rows. One per gateway, because its desk remembers pages."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._desk = PageDesk(plane)
        self._reading: Flights[Allowed] = Flights()
        self.again = Again(plane, self._desk, self._judged_anew)

    async def paid(self, request: Request, product: str) -> WholeAnswer:
        """Rows under a license: read, charge, then send. HEAD and 304 cost nothing and need the license, too."""
        plane = self._plane
        access = await plane.access(request, AUD_COMMERCIAL)
        allowance = plane.paid_burst.take(access.client_id)
        given = request.headers.get("idempotency-key")
        key = None if given is None else charge_key(given)
        uncharged = request.method == "HEAD" or "if-none-match" in request.headers
        try:
            asker = await self._asker(product, access, fresh=uncharged)
        except LicenseNotInForce as refusal:
            await plane.in_thread(plane.name_receipt, refusal, access.license_id, key)
            raise
        text = _asked(request)
        question = await self._desk.question(*text, asker.goods)
        if uncharged and (bare := _without_rows(request, question, allowance.head() + PRIVATE)):
            return bare
        ready = await self._desk.page(question)
        answer = await self.again.pay(asker, text, question, ready, key, allowance)
        self.again.remember(request.scope, asker)
        return answer

    async def _judged_anew(self, request: Request, product: str) -> Asker:
        return await self._asker(product, await self._plane.access(request, AUD_COMMERCIAL), fresh=True)

    async def _asker(self, product: str, access: Access, *, fresh: bool) -> Asker:
        """The bearer of the token, when rows of the product may be sold to them. Raises what forbids it."""
        allowed = await self._allowed(product, access, fresh=fresh)
        item = on_side(allowed.item, product, Tier.COMMERCIAL, access)
        refuse(allowed.standing, item, access, "api", clock.now())
        return Asker(access, goods_of(item, allowed.standing.gate.pinned_version), allowed.until)

    async def _allowed(self, product: str, access: Access, *, fresh: bool) -> Allowed:
        plane = self._plane
        if fresh:
            return await plane.in_thread(plane.shelf.read, product, access)
        if (recent := plane.shelf.recent(product, access)) is not None:
            return recent
        return await self._reading.join(
            (product, access), lambda: plane.in_thread(plane.shelf.read, product, access)
        )

    async def open(self, request: Request, product: str) -> WholeAnswer:
        """Rows of a public-good product: no account, no charge."""
        plane = self._plane
        limits = plane.fair_use(request, plane.open_burst).head()
        item = await open_item(plane, request, product)
        pinned = await open_allowed(plane, request, item)
        limits += PRIVATE if is_conditional(item) else PUBLIC
        question = await self._desk.question(*_asked(request), goods_of(item, pinned))
        if answer := _without_rows(request, question, limits):
            return answer
        ready = await self._desk.page(question)
        plane.open_count.count(item.product_id, Kind.ROWS, rows=ready.rows, size=len(ready.body))
        return WholeAnswer(ready.head + limits, ready.body)


def _asked(request: Request) -> tuple[bytes, str]:
    return request.scope["query_string"], request.headers.get("accept", "")


def _without_rows(request: Request, question: Question, limits: bytes) -> WholeAnswer | None:
    """The answer that needs no page: what the caller has is right, or only the headers are wanted."""
    if etag_matches(request.headers.get("if-none-match"), question.etag):
        return WholeAnswer(head(question) + limits, b"", 304)
    return WholeAnswer(head(question) + limits, b"") if request.method == "HEAD" else None


def is_conditional(item: ShelfItem) -> bool:
    """Whether open data asks for an accepted license first; a commercial product's free use always does."""
    return item.tier is Tier.COMMERCIAL or bool(item.license_note.get("conditional"))


async def open_item(plane: Plane, request: Request, product: str) -> ShelfItem:
    """What the open side serves: public-good to everybody, and to who shows a token also what it licenses free.

    Raises NotOnShelf.
    """
    if "authorization" in request.headers:
        return await plane.in_thread(plane.shelf.either, product)
    return await plane.in_thread(plane.shelf.item, product, Tier.PUBLIC_GOOD)


async def open_allowed(plane: Plane, request: Request, item: ShelfItem) -> int | None:
    """Let everybody in, unless the product asks for an accepted license: then the bearer of an open token.

    Returns the version the license is pinned to, if any.
    """
    if not is_conditional(item):
        return None
    access = await plane.access(request, AUD_OPEN)
    standing = await plane.in_thread(plane.shelf.standing, access)
    refuse(standing, item, access, "api" if request.url.path.endswith("/rows") else "file", clock.now())
    return standing.gate.pinned_version
