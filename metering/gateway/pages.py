"""数据页 Pages of rows: read once, encoded once, kept by what was asked; a version never changes, so none goes stale."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import orjson
from starlette.requests import Request

from metering import cursors, rowformats
from metering.filters import Column, Query, parse
from metering.gateway.answers import raw_headers
from metering.gateway.flights import Flights
from metering.gateway.plane import Plane
from metering.gateway.recent import Recent
from metering.problems import QueryTooSlow
from metering.serving import Page, ServingCopy, visible
from metering.shelf import version_for
from metering.tables import ShelfItem
from storage.kernel.problem import invalid

T = TypeVar("T")
_QUESTIONS = 4096
_COUNTS = 4096
_LONG = 1000  # longer questions are not remembered


@dataclass(frozen=True, slots=True)
class Question:
    """问题. A checked request for one page of one version; the tag is the same for the same page."""

    query: Query
    form: str
    product_id: str
    version: int
    rows: int  # of the whole version
    sha256: str  # of the serving copy
    etag: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """An encoded page and its headers; made but not yet paid."""

    body: bytes
    rows: int
    headers: dict[str, str]
    raw: tuple[tuple[bytes, bytes], ...]  # the same headers and the length, as they are sent


class PageDesk:
    """One per gateway: it remembers columns, questions, counts and pages, and makes each page once at a time."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._columns: dict[tuple[str, int], dict[str, Column]] = {}
        self._questions: Recent[Question] = Recent(_QUESTIONS)
        self._counts: Recent[int] = Recent(_COUNTS)
        self._pages: Recent[Ready] = Recent(
            plane.settings.page_cache_bytes, lambda page: len(page.body) + 1024
        )
        self._making: Flights[Ready] = Flights()
        self._opening: Flights[dict[str, Column]] = Flights()

    async def question(self, request: Request, item: ShelfItem, pinned: int | None) -> Question:
        """What is asked. Raises Invalid, NotOnShelf, Unavailable, ObjectDamaged."""
        accept = request.headers.get("accept", "")
        text = request.scope["query_string"]
        if len(accept) + len(text) > _LONG:
            return await self._parsed(request, item, pinned, accept)
        name = (item.product_id, item.current_version, pinned, text, accept)
        found = self._questions.get(name)
        if found is None:
            found = await self._parsed(request, item, pinned, accept)
            self._questions.keep(name, found)
        return found

    async def _parsed(self, request: Request, item: ShelfItem, pinned: int | None, accept: str) -> Question:
        plane, parameters = self._plane, request.query_params.multi_items()
        mark = next((text for word, text in parameters if word == "cursor"), None)
        version = version_for(item, pinned, cursors.cursor_version(mark) if mark is not None else None)
        manifest = await plane.in_thread(plane.shelf.manifest, item.product_id, version)
        if "serving" not in manifest["files"]:
            raise invalid(
                "product", "rows.none", "该产品不提供按行查询。", "This product has no rows to query."
            )
        sha256 = manifest["files"]["serving"]["sha256"]
        columns = self._columns.get((item.product_id, version))
        if columns is None:
            columns = await self._opening.join(
                sha256, lambda: plane.in_slow_thread(self._read_columns, sha256, manifest)
            )
            self._columns[item.product_id, version] = columns
        settings = plane.settings
        query = parse(parameters, columns, default=settings.default_rows, most=settings.page_rows)
        if query.cursor is not None:
            query = cursors.resume(query, query.cursor, product=item.product_id, key=plane.cursor_key)
        form = rowformats.chosen(query.format, accept)
        asked = [
            item.product_id,
            version,
            sha256,
            list(columns),
            form,
            query.limit,
            query.count,
            query.cursor,
        ]
        said = orjson.dumps([*asked, rowformats.FORM, settings.page_bytes]) + query.name()
        digest = hashlib.sha256(said).digest()
        return Question(
            query,
            form,
            item.product_id,
            version,
            int(manifest["rows"]),
            sha256,
            f'"{digest[:16].hex()}"',
            digest[:16],
        )

    def _read_columns(self, sha256: str, manifest: dict[str, object]) -> dict[str, Column]:
        with self._plane.copies.reading(sha256) as copy:
            return visible(copy, manifest)

    async def page(self, question: Question) -> Ready:
        """The page, kept or made; who asks for the same at the same time waits for the first.

        Raises QueryTooSlow, QueriesBusy, Unavailable, ObjectDamaged.
        """
        if (found := self._pages.get(question.etag)) is not None:
            return found
        return await self._making.join(question.etag, lambda: self._make(question))

    async def _make(self, question: Question) -> Ready:
        total = await self._total(question) if question.query.count else None

        def read(copy: ServingCopy, milliseconds: int) -> Ready:
            page = copy.read(question.query, milliseconds, self._plane.settings.page_bytes)
            return self._encoded(question, page, total)

        ready = await self._asked(question, ServingCopy.is_light, read)
        self._pages.keep(question.etag, ready)
        return ready

    async def _asked(
        self,
        question: Question,
        is_light: Callable[[ServingCopy, Query], bool],
        read: Callable[[ServingCopy, int], T],
    ) -> T:
        """What `read` reads: among the light queries when an index narrows it enough, else among the slow ones."""
        plane, settings = self._plane, self._plane.settings

        def lightly() -> T | None:
            with plane.copies.reading(question.sha256) as copy:
                if not is_light(copy, question.query):
                    return None
                try:
                    return read(copy, settings.light_query_ms)
                except QueryTooSlow:
                    return None

        def slowly() -> T:
            with plane.copies.reading(question.sha256) as copy:
                return read(copy, settings.query_ms)

        if plane.copies.is_open(question.sha256):
            made = await plane.in_thread(lightly)
            if made is not None:
                return made
        return await plane.in_slow_thread(slowly)

    async def _total(self, question: Question) -> int:
        if not question.query.conditions:
            return question.rows
        name = (question.sha256, question.query.selection())
        total = self._counts.get(name)
        if total is None:
            total = await self._asked(
                question,
                ServingCopy.counts_lightly,
                lambda copy, milliseconds: copy.count(question.query, milliseconds),
            )
            self._counts.keep(name, total)
        return total

    def _encoded(self, question: Question, page: Page, total: int | None) -> Ready:
        following = None
        if page.last is not None:
            following = cursors.cursor(
                replace(question.query, after=None),
                page.last,
                version=question.version,
                product=question.product_id,
                key=self._plane.cursor_key,
            )
        body = rowformats.written(
            page,
            question.query.columns,
            question.form,
            version=question.version,
            following=following,
            total=total,
        )
        said = headers(question, following, total)
        raw = raw_headers(said | {"Content-Length": str(len(body))})
        return Ready(body, len(page.rows), said, raw)


def headers(question: Question, following: str | None = None, total: int | None = None) -> dict[str, str]:
    """The headers that every answer about the page carries."""
    said = {
        "Content-Type": rowformats.MEDIA[question.form],
        "ETag": question.etag,
        "X-Data-Version": str(question.version),
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept",
    }
    if following is not None:
        said["X-Next-Cursor"] = following
    if total is not None:
        said["X-Total-Count"] = str(total)
    return said
