"""查询 Rows: paid ones leave only after their charge is durable; open ones are free and only counted."""

import csv
import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson
from starlette.requests import Request
from starlette.responses import Response

from contracts.terms import Tier
from metering import cursors
from metering.filters import parse
from metering.gate import Charge, charge_key, new_charge_key
from metering.gateway.plane import Plane
from metering.serving import Page, visible
from metering.shelf import refuse, version_for
from metering.tables import ShelfItem
from metering.tokens import AUD_COMMERCIAL, AUD_OPEN, Access
from metering.words import Kind, Settled
from storage.kernel import clock
from storage.kernel.problem import invalid

CSV = "text/csv; charset=utf-8"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Ready:
    """An answer made but not yet paid."""

    body: bytes
    media: str
    rows: int
    version: int
    next: str | None
    fingerprint: bytes


class Pages:
    """Pages read before, by the whole question; versions never change, so a page never goes stale."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._size = 0
        self._pages: OrderedDict[tuple[object, ...], Ready] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, name: tuple[object, ...]) -> Ready | None:
        with self._guard:
            if found := self._pages.get(name):
                self._pages.move_to_end(name)
            return found

    def keep(self, name: tuple[object, ...], page: Ready) -> None:
        with self._guard:
            if name in self._pages or len(page.body) > self._most // 8:
                return
            self._pages[name] = page
            self._size += len(page.body)
            while self._size > self._most:
                self._size -= len(self._pages.popitem(last=False)[1].body)


class RowsDoor:
    """The two ways to rows. One per gateway, because it remembers pages."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._pages = Pages(plane.settings.page_cache_bytes)

    async def paid(self, request: Request, product: str) -> Response:
        """Rows under a license: read, charge, then send."""
        plane = self._plane
        access = await plane.access(request, AUD_COMMERCIAL)
        limits = plane.paid_burst.take(access.client_id)
        if request.method == "HEAD":
            await plane.in_thread(self._allowed, product, access, fresh=True)
            return Response(
                None, 200, limits | {"Cache-Control": "private, no-store"}, media_type=_media(request)
            )
        given = request.headers.get("idempotency-key")
        key = charge_key(given) if given is not None else new_charge_key()
        ready = await plane.in_thread(self._paid_page, request, product, access)
        receipt = await plane.till.charge_async(
            Charge(
                license_id=access.license_id or "",
                product_id=access.product_id or "",
                credential_id=access.client_id,
                jti=access.jti,
                purpose=access.purpose,
                kind=Kind.ROWS,
                key=key,
                fingerprint=ready.fingerprint,
                calls=1,
                rows=ready.rows,
                size=len(ready.body),
            )
        )
        headers = (
            limits
            | _headers(ready)
            | {"X-Charge-Id": receipt.charge_id, "Cache-Control": "private, no-store"}
        )
        if receipt.left_calls is not None:
            headers["X-Quota-Remaining"] = str(receipt.left_calls)
        if receipt.left_rows is not None:
            headers["X-Quota-Remaining-Rows"] = str(receipt.left_rows)
        if receipt.outcome is Settled.DUPLICATE:
            headers["X-Charge-Duplicate"] = "true"
        return Response(ready.body, 200, headers, media_type=ready.media)

    def _allowed(self, product: str, access: Access, *, fresh: bool) -> tuple[ShelfItem, int | None]:
        shelf = self._plane.shelf
        item = shelf.item(product, Tier.COMMERCIAL, fresh=fresh)
        standing = shelf.standing(access, fresh=fresh)
        refuse(standing, item, access, "api", clock.now())
        return item, standing.gate.pinned_version

    def _paid_page(self, request: Request, product: str, access: Access) -> Ready:
        item, pinned = self._allowed(product, access, fresh=False)
        return self._page(request, item, pinned)

    async def open(self, request: Request, product: str) -> Response:
        """Rows of a public-good product: no account, no charge."""
        plane = self._plane
        limits = plane.open_burst.take(plane.address(request))
        item = await plane.in_thread(plane.shelf.item, product, Tier.PUBLIC_GOOD, fresh=True)
        pinned = await open_allowed(plane, request, item)
        if request.method == "HEAD":
            return Response(None, 200, limits, media_type=_media(request))
        ready = await plane.in_thread(self._page, request, item, pinned)
        plane.open_count.count(item.product_id, Kind.ROWS, rows=ready.rows, size=len(ready.body))
        return Response(
            ready.body, 200, limits | _headers(ready) | {"Cache-Control": "no-cache"}, media_type=ready.media
        )

    def _page(self, request: Request, item: ShelfItem, pinned: int | None) -> Ready:
        plane, media = self._plane, _media(request)
        current = version_for(item, pinned, None)
        name = (item.product_id, current, pinned, media, request.url.query)
        if found := self._pages.get(name):
            return found
        parameters = request.query_params.multi_items()
        mark = dict(parameters).get("cursor")
        version = current
        if mark is not None:
            version = version_for(item, pinned, cursors.cursor_version(mark))
        manifest = plane.shelf.manifest(item.product_id, version)
        if "serving" not in manifest["files"]:
            raise invalid(
                "product", "rows.none", "该产品不提供按行查询。", "This product has no rows to query."
            )
        copy = plane.files.copy(manifest["files"]["serving"]["sha256"])
        query = parse(
            parameters,
            visible(copy, manifest),
            default=plane.settings.default_rows,
            most=plane.settings.page_rows,
        )
        if mark is not None:
            query = cursors.resume(query, mark, product=item.product_id, key=plane.cursor_key)
        page = copy.read(query, plane.settings.query_seconds)
        following = None
        if page.last is not None:
            following = cursors.cursor(
                replace(query, after=None),
                page.last,
                version=version,
                product=item.product_id,
                key=plane.cursor_key,
            )
        question = orjson.dumps([item.product_id, version, media, query.limit, mark])
        ready = Ready(
            _render(page, media, version, following),
            media,
            len(page.rows),
            version,
            following,
            hashlib.blake2b(question + query.name(), digest_size=16).digest(),
        )
        self._pages.keep(name, ready)
        return ready


async def open_allowed(plane: Plane, request: Request, item: ShelfItem) -> int | None:
    """Let everybody in, unless the product asks for an accepted license: then the bearer of an open token.

    Returns the version the license is pinned to, if any.
    """
    if not item.license_note.get("conditional"):
        return None
    access = await plane.access(request, AUD_OPEN)
    standing = await plane.in_thread(plane.shelf.standing, access, fresh=True)
    refuse(standing, item, access, "api" if request.url.path.endswith("/rows") else "file", clock.now())
    return standing.gate.pinned_version


def _media(request: Request) -> str:
    wanted = request.query_params.get("format")
    if wanted not in {None, "csv", "json"}:
        raise invalid("format", "format", "format 为 json 或 csv。", "format is json or csv.")
    accept = request.headers.get("accept", "")
    return CSV if wanted == "csv" or (wanted is None and "text/csv" in accept) else JSON


def _headers(ready: Ready) -> dict[str, str]:
    headers = {"X-Data-Version": str(ready.version), "Vary": "Accept"}
    if ready.next is not None:
        headers["X-Next-Cursor"] = ready.next
    return headers


def _render(page: Page, media: str, version: int, following: str | None) -> bytes:
    if media == CSV:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(page.names)
        writer.writerows([_csv(row) for row in page.rows])
        return text.getvalue().encode()
    rows = [dict(zip(page.names, row, strict=True)) for row in page.rows]
    return orjson.dumps({"version": version, "rows": rows, "next": following})


def _csv(row: Sequence[object]) -> list[object]:
    return [("true" if value else "false") if isinstance(value, bool) else value for value in row]
