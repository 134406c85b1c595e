"""数据页 Pages of rows: read once, encoded once, kept by what was asked; a version never changes, so none goes stale."""

import hashlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import orjson

from metering import cursors, rowformats
from metering.filters import MAX_PARAMETERS, Column, Query, parse, selection
from metering.gateway.answers import head_of
from metering.gateway.flights import Flights
from metering.gateway.parameters import pairs
from metering.gateway.plane import Plane
from metering.gateway.recent import Recent
from metering.problems import QueryTooSlow
from metering.serving import HERE_MS, SHORT, Plan, ServingCopy, TimeLimit, visible
from metering.shelf import Goods, version_for
from storage.kernel.problem import invalid

T = TypeVar("T")
_QUESTIONS = 4096
_COUNTS = 4096
_LONG = 1000  # longer questions are not remembered
_FORM_HEADS = {
    form: head_of({"Content-Type": media, "X-Content-Type-Options": "nosniff", "Vary": "Accept"})
    for form, media in rowformats.MEDIA.items()
}


class Question(NamedTuple):
    """问题. A checked request for one page of one version.

    The tag is the same for the same bytes; the fingerprint for the same purchase, also after pages are written
    in another form or another length.
    """

    query: Query
    form: str
    product_id: str
    version: int
    rows: int  # of the whole version
    sha256: str  # of the serving copy
    etag: str
    fingerprint: bytes


class Ready(NamedTuple):
    """An encoded page and its headers as lines; made but not yet paid."""

    head: bytes
    body: bytes
    rows: int


class _Version(NamedTuple):
    """What is known of a version; it never changes."""

    number: int
    rows: int
    sha256: str  # of the serving copy
    columns: dict[str, Column]
    name: bytes  # what its pages differ by from those of other versions


class PageDesk:
    """One per gateway: it remembers columns, questions, counts and pages, and makes each page once at a time."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._versions: dict[tuple[str, int], _Version] = {}
        self._questions: Recent[Question] = Recent(_QUESTIONS)
        self._counts: Recent[int] = Recent(_COUNTS)
        self._pages: Recent[Ready] = Recent(
            plane.settings.page_cache_bytes, lambda page: len(page.body) + 1024
        )
        self._making: Flights[Ready] = Flights()
        self._opening: Flights[dict[str, Column]] = Flights()
        self._reopening: Flights[None] = Flights()

    async def question(self, text: bytes, accept: str, goods: Goods) -> Question:
        """What is asked by a query string. Raises Invalid, NotOnShelf, Unavailable, ObjectDamaged."""
        found = self.question_at_hand(text, accept, goods)
        if found is None:
            parameters, version = _named_version(text, goods)
            found = self._parsed(
                parameters, accept, goods.product_id, await self._open(goods.product_id, version)
            )
        return found

    def question_at_hand(self, text: bytes, accept: str, goods: Goods) -> Question | None:
        """The same, or None when the version was not opened yet. Raises Invalid."""
        name = (goods, text, accept)
        found = self._questions.get(name)
        if found is None:
            parameters, version = _named_version(text, goods)
            opened = self._versions.get((goods.product_id, version))
            if opened is None:
                return None
            found = self._parsed(parameters, accept, goods.product_id, opened)
            if len(accept) + len(text) <= _LONG:
                self._questions.keep(name, found)
        return found

    def _parsed(
        self, parameters: Sequence[tuple[str, str]], accept: str, product_id: str, of: _Version
    ) -> Question:
        settings = self._plane.settings
        query = parse(parameters, of.columns, default=settings.default_rows, most=settings.page_rows)
        if query.cursor is not None:
            query = cursors.resume(query, query.cursor, product=product_id, key=self._plane.cursor_key)
        form = rowformats.chosen(query.format, accept)
        said = orjson.dumps([form, query.limit, query.total, query.cursor])
        digest = hashlib.sha256(of.name + said + query.name).digest()[:16]
        etag = f'"{digest.hex()}-{rowformats.FORM}-{settings.page_bytes:x}"'
        return Question(query, form, product_id, of.number, of.rows, of.sha256, etag, digest)

    async def _open(self, product_id: str, version: int) -> _Version:
        """Read the version and its columns, and remember them."""
        plane = self._plane
        manifest = await plane.in_thread(plane.shelf.manifest, product_id, version)
        if "serving" not in manifest["files"]:
            raise invalid(
                "product", "rows.none", "该产品不提供按行查询。", "This product has no rows to query."
            )
        sha256 = manifest["files"]["serving"]["sha256"]
        columns = await self._opening.join(
            sha256, lambda: plane.in_slow_thread(self._read_columns, sha256, manifest)
        )
        name = orjson.dumps([product_id, version, sha256, list(columns)])
        opened = _Version(version, int(manifest["rows"]), sha256, columns, name)
        self._versions[product_id, version] = opened
        return opened

    def _read_columns(self, sha256: str, manifest: dict[str, object]) -> dict[str, Column]:
        with self._plane.copies.reading(sha256) as copy:
            return visible(copy, manifest)

    async def page(self, question: Question) -> Ready:
        """The page, kept or made; who asks for the same at the same time waits for the first.

        Raises QueryTooSlow, QueriesBusy, Unavailable, ObjectDamaged.
        """
        found = self.page_at_hand(question)
        if found is None:
            found = await self._making.join(question.etag, lambda: self._make(question))
        return found

    def page_at_hand(self, question: Question) -> Ready | None:
        """The page when it is kept, or can be read at once."""
        return self._pages.get(question.etag) or self._read_here(question)

    def _read_here(self, question: Question) -> Ready | None:
        """A few rows by an index, read on the event loop: a thread would cost several times the reading.

        What takes too long goes to a thread, and its like goes there at once for a while.
        """
        query = question.query
        if query.limit > SHORT or query.total:
            return None
        at_hand = self._plane.copies.at_hand(question.sha256)
        if at_hand is None:
            return None
        with at_hand as copy:
            plan = copy.plan(query)
            if not plan.is_light or not plan.here.may:
                return None
            try:
                with plan.here as begun:
                    ready = self._read(plan, question, TimeLimit.of(HERE_MS, time.thread_time, begun), None)
            except QueryTooSlow:
                return None
        self._pages.keep(question.etag, ready)
        return ready

    async def _make(self, question: Question) -> Ready:
        total = await self._total(question) if question.query.total else None

        def read(copy: ServingCopy, milliseconds: int) -> Ready:
            return self._read(copy.plan(question.query), question, TimeLimit.of(milliseconds), total)

        ready = await self._asked(question, lambda copy, query: copy.plan(query).is_light, read)
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

        if not plane.copies.is_open(question.sha256):  # one place among the slow for all who wait for it
            await self._reopening.join(
                question.sha256, lambda: plane.in_slow_thread(self._reopen, question.sha256)
            )
        made = await plane.in_thread(lightly)
        return made if made is not None else await plane.in_slow_thread(slowly)

    def _reopen(self, sha256: str) -> None:
        with self._plane.copies.reading(sha256):
            pass

    async def _total(self, question: Question) -> int:
        if not question.query.conditions:
            return question.rows
        asked = selection(question.query.conditions)  # as long as the request may be
        name = (question.sha256, hashlib.blake2b(asked, digest_size=16).digest())
        total = self._counts.get(name)
        if total is None:
            total = await self._asked(
                question,
                ServingCopy.counts_lightly,
                lambda copy, milliseconds: copy.count(question.query, milliseconds),
            )
            self._counts.keep(name, total)
        return total

    def _read(self, plan: Plan, question: Question, within: TimeLimit, total: int | None) -> Ready:
        """The page, read and encoded. Raises QueryTooSlow when it does not end within."""
        query, version = question.query, question.version
        most = self._plane.settings.page_bytes
        finish: Callable[..., bytes]
        whole = plan.written(query, within, most) if question.form == "json" else None
        if whole is not None:
            rows, count, last = whole
            finish = partial(rowformats.json_page, rows)
        else:
            written = rowformats.writing(question.form, query.columns)
            page = plan.read(query, within, most, written.add)
            count, last = len(page.rows), page.last
            finish = written.finish
        following = None
        if last is not None:
            product, key = question.product_id, self._plane.cursor_key
            following = cursors.cursor(query, last, version=version, product=product, key=key)
        body = finish(version=version, following=following, total=total)
        said = b"%bcontent-length: %d\r\n" % (head(question, following, total), len(body))
        return Ready(said, body, count)


def _named_version(text: bytes, goods: Goods) -> tuple[list[tuple[str, str]], int]:
    """The parameters of a query string, and the version they ask for. Raises Invalid."""
    if text.count(b"&") >= MAX_PARAMETERS:
        most = MAX_PARAMETERS
        raise invalid("query", "parameters.many", f"最多 {most} 个参数。", f"At most {most} parameters.")
    parameters = pairs(text)
    mark = next((value for word, value in parameters if word == "cursor"), None)
    return parameters, version_for(goods, cursors.cursor_version(mark) if mark is not None else None)


def head(question: Question, following: str | None = None, total: int | None = None) -> bytes:
    """The headers that every answer about the page carries, as lines."""
    said = _FORM_HEADS[question.form] + b"etag: %b\r\nx-data-version: %d\r\n" % (
        question.etag.encode(),
        question.version,
    )
    if following is not None:
        said += b"x-next-cursor: %b\r\n" % following.encode()
    return said if total is None else said + b"x-total-count: %d\r\n" % total
