"""下载 Tickets and the files behind them: the ticket is free, the first GET that sends bytes is charged."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from contracts.terms import Tier
from metering.booking import Answer
from metering.deliveries import Charged, note_handed_over
from metering.gate import Charge, Receipt, charge_key, event_id
from metering.gateway.answers import WholeAnswer, json_answer, paid_head
from metering.gateway.files import FileToSend, send_file, whole_head
from metering.gateway.plane import Plane
from metering.gateway.rows import is_conditional, open_allowed, open_item
from metering.problems import (
    ChargeKeyReused,
    InvalidChargeKey,
    LicenseNotInForce,
    NotOnShelf,
    RangeNotSatisfiable,
)
from metering.queries import charged as booked_charge
from metering.queries import receipt_of
from metering.ranges import Span
from metering.shelf import goods_of, refuse, refuse_beyond, refuse_spent, version_for, why_shut
from metering.tables import ShelfItem, UsageEvent
from metering.tokens import AUD_COMMERCIAL, Access, Ticket, mint_ticket
from metering.words import Kind, Settled
from storage.kernel import clock
from storage.kernel.problem import Problem, Unavailable, invalid

MOST_BODY = 4096
_CONDITIONS = {b"range", b"if-range", b"if-none-match"}


async def issue_ticket(plane: Plane, request: Request, product: str) -> Response:
    """A ticket for one file of the licensed version; costs nothing and promises nothing yet."""
    access = await plane.access(request, AUD_COMMERCIAL)
    limits = plane.paid_burst.take(access.client_id).headers()
    given = request.headers.get("idempotency-key")
    if given is None:
        raise InvalidChargeKey
    key = charge_key(given)
    kind = await _wanted_file(request)
    ticket, name = await plane.in_thread(_ticket, plane, product, access, key, kind)
    signed = mint_ticket(ticket, issuer=plane.issuer, ring=plane.keys.ring)
    return json_answer(
        {
            "url": f"{plane.public_url}/d/{signed}",
            "charge_id": f"chg_{event_id(ticket.license_id, key).hex()}",
            "file": kind,
            "name": name,
            "version": ticket.version,
            "rows": ticket.rows,
            "size": ticket.size,
            "sha256": ticket.sha256,
            "start_by": ticket.start_by,
            "resume_until": ticket.expires_at,
        },
        201,
        limits | {"Cache-Control": "no-store"},
    )


async def _wanted_file(request: Request) -> str:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise invalid("body", "size", "请求体过大。", "The body is too large.")
    try:
        document: Any = orjson.loads(body) if body else {}
        kind = document.pop("file", "csv")
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        document = kind = None
    if document or not isinstance(kind, str) or kind == "serving":
        raise invalid("file", "file", '请求体形如 {"file": "csv"}。', 'The body looks like {"file": "csv"}.')
    return kind


def _ticket(plane: Plane, product: str, access: Access, key: str, kind: str) -> tuple[Ticket, str]:
    now = clock.now()
    item = plane.shelf.item(product, Tier.COMMERCIAL, access)
    standing = plane.shelf.standing(access)
    gate = standing.gate
    try:
        refuse(standing, item, access, "file", now)
    except LicenseNotInForce as refusal:
        plane.name_receipt(refusal, gate.license_id, key)
        raise
    with plane.store.view() as view:
        booked = booked_charge(view, event_id(gate.license_id, key))
    version = version_for(goods_of(item, gate.pinned_version), None)
    if booked is not None and gate.pinned_version is None:
        version = _paid_version(plane, item, kind, booked) or version
    manifest = plane.shelf.manifest(item.product_id, version)
    file = file_of(manifest, item, kind)
    fingerprint = _fingerprint(item.product_id, version, file.sha256)
    if booked is not None and booked.fingerprint != fingerprint:
        raise ChargeKeyReused(receipt=receipt_of(booked))
    if booked is None:
        refuse_beyond(gate, downloads=1, calls=1, rows=int(manifest["rows"]), bytes=file.size)
    start_by = int(now.timestamp()) + plane.settings.ticket_start_seconds
    resume = timedelta(hours=plane.settings.resume_hours).total_seconds()
    ticket = Ticket(
        license_id=gate.license_id,
        product_id=item.product_id,
        credential_id=access.client_id,
        jti=access.jti,
        purpose=access.purpose,
        version=version,
        file=kind,
        sha256=file.sha256,
        size=file.size,
        charge_key=key,
        fingerprint=fingerprint.hex(),
        rows=int(manifest["rows"]),
        cidrs=access.cidrs,
        start_by=start_by,
        expires_at=start_by + int(resume),
    )
    return ticket, file.name


def _fingerprint(product_id: str, version: int, sha256: str) -> bytes:
    return hashlib.blake2b(f"{product_id} {version} {sha256}".encode(), digest_size=16).digest()


def _paid_version(plane: Plane, item: ShelfItem, kind: str, booked: UsageEvent) -> int | None:
    """The version a charge was made for, when a newer one has come since: what is paid for is what is resumed."""
    since = clock.now() - timedelta(hours=plane.settings.resume_hours)
    for version in plane.shelf.versions_since(item.product_id, since):
        entry = plane.shelf.manifest(item.product_id, version)["files"].get(kind)
        if entry and _fingerprint(item.product_id, version, entry["sha256"]) == booked.fingerprint:
            return version
    return None


def file_of(manifest: dict[str, Any], item: ShelfItem, kind: str) -> FileToSend:
    """The file of that kind. Raises NotOnShelf; the serving copy is never handed out."""
    entry = None if kind == "serving" else manifest["files"].get(kind)
    if entry is None:
        kinds = sorted(set(manifest["files"]) - {"serving"})
        raise NotOnShelf(product=item.slug, files=kinds)
    return FileToSend(entry["sha256"], int(entry["size"]), entry["name"], kind)


async def redeem_ticket(plane: Plane, request: Request, signed: str) -> Response:
    """The file behind a ticket: charged once, resumed free for a day."""
    await plane.know_key(signed)
    now = clock.now()
    ticket = plane.verifier.ticket(signed, now=now, address=plane.address(request))
    limits = plane.paid_burst.take(ticket.credential_id).headers()
    charge = _charge(ticket, now)
    file = await _named(plane, ticket)
    if request.method == "HEAD" or "if-none-match" in request.headers:
        await plane.in_thread(_standing, plane, ticket)

    async def pay() -> dict[str, str]:
        receipt = await plane.till.charge_async(charge)
        again = {"X-Charge-Duplicate": "true"} if receipt.outcome is Settled.DUPLICATE else {}
        return limits | again | {"X-Charge-Id": receipt.charge_id}

    charged = _charged(charge, ticket)

    def sent(span: Span) -> None:
        plane.deliveries.sent(charged, span)

    hand_off = _hand_off(plane, file)
    try:
        answer = await send_file(plane, request, file, cache="private", pay=pay, sent=sent, hand_off=hand_off)
    except RangeNotSatisfiable:
        await plane.in_thread(_standing, plane, ticket)  # who may have nothing is not told the size
        raise
    if answer.status_code == 303:
        await plane.in_writing_thread(note_handed_over, plane.store.database, charged)
    return answer


def begin(plane: Plane, scope: Scope, told: Callable[[WholeAnswer | Problem], bool]) -> bool:
    """Charge the whole of a small file that is at hand and call back with it, or say no: then `redeem_ticket` looks.

    Raises what refuses before the till does.
    """
    if plane.keys.stale or plane.settings.hand_off_seconds:
        return False
    if any(name in _CONDITIONS for name, _ in scope["headers"]):
        return False
    plane.renew_keys()
    now = clock.now()
    ticket = plane.verifier.ticket(scope["path"].removeprefix("/d/"), now=now, address="")
    manifest = plane.shelf.known_manifest(ticket.product_id, ticket.version)
    content = plane.small_files.get(ticket.sha256)
    if manifest is None or content is None:
        return False
    allowance = plane.paid_burst.take(ticket.credential_id)
    charge = _charge(ticket, now)

    def paid(answer: Answer) -> None:
        if not isinstance(answer, Receipt):
            told(answer)
            return
        head = whole_head(_file(ticket, manifest), "private") + paid_head(allowance, answer)
        if told(WholeAnswer(head, content)):
            plane.deliveries.sent(_charged(charge, ticket), (0, ticket.size))

    plane.till.submit(charge, paid)
    return True


def _charge(ticket: Ticket, now: datetime) -> Charge:
    return Charge(
        license_id=ticket.license_id,
        product_id=ticket.product_id,
        credential_id=ticket.credential_id,
        jti=ticket.jti,
        purpose=ticket.purpose,
        kind=Kind.DOWNLOAD,
        key=ticket.charge_key,
        fingerprint=bytes.fromhex(ticket.fingerprint),
        calls=1,
        rows=ticket.rows,
        size=ticket.size,
        downloads=1,
        resume_only=now.timestamp() > ticket.start_by,
    )


def _charged(charge: Charge, ticket: Ticket) -> Charged:
    return Charged(charge.id, ticket.license_id, ticket.sha256, ticket.size)


def _hand_off(plane: Plane, file: FileToSend) -> Callable[[], str] | None:
    """What gives the store's own address of the file; None when we send it: nobody can count or stop the store."""
    seconds = plane.settings.hand_off_seconds
    if not seconds or plane.objects.local_path(file.sha256) is not None:
        return None

    def hand_off() -> str:
        address = plane.objects.presigned(file.sha256, seconds, name=file.name, media=file.media)
        if address is None:
            raise Unavailable
        return address

    return hand_off


async def _named(plane: Plane, ticket: Ticket) -> FileToSend:
    manifest = plane.shelf.known_manifest(ticket.product_id, ticket.version)
    if manifest is None:
        manifest = await plane.in_thread(plane.shelf.manifest, ticket.product_id, ticket.version)
    return _file(ticket, manifest)


def _file(ticket: Ticket, manifest: dict[str, Any]) -> FileToSend:
    return FileToSend(ticket.sha256, ticket.size, manifest["files"][ticket.file]["name"], ticket.file)


def _standing(plane: Plane, ticket: Ticket) -> None:
    """Refuse a ticket whose license, credential or token ended: for answers that are not charged."""
    standing = plane.shelf.standing(_bought_with(ticket))
    refuse_spent(standing)
    if reason := why_shut(standing.gate, clock.now()):
        raise LicenseNotInForce.because(ticket.license_id, reason, standing.gate.stands_on)


def _bought_with(ticket: Ticket) -> Access:
    return Access(
        client_id=ticket.credential_id,
        org="",
        audience=AUD_COMMERCIAL,
        license_id=ticket.license_id,
        product_id=ticket.product_id,
        purpose=ticket.purpose,
        scope="",
        cidrs=ticket.cidrs,
        jti=ticket.jti,
        issued_at=0,
        expires_at=ticket.expires_at,
    )


async def open_file(plane: Plane, request: Request, product: str, kind: str) -> Response:
    """A file of a public-good product: no account, no charge."""
    limits = plane.fair_use(request, plane.open_burst).headers()
    item = await open_item(plane, request, product)
    pinned = await open_allowed(plane, request, item)
    manifest = await plane.in_thread(
        plane.shelf.manifest, item.product_id, version_for(goods_of(item, pinned), None)
    )
    file = file_of(manifest, item, kind)

    async def free() -> dict[str, str]:
        return limits

    def sent(span: Span) -> None:
        plane.open_count.count(item.product_id, Kind.DOWNLOAD, size=span[1] - span[0])

    cache = "private, no-cache" if is_conditional(item) else "public, no-cache"
    return await send_file(plane, request, file, cache=cache, pay=free, sent=sent)


async def open_metadata(plane: Plane, request: Request, product: str) -> Response:
    """What a public-good product is: license, columns, files."""
    limits = plane.fair_use(request, plane.open_burst).headers()
    item = await plane.in_thread(plane.shelf.item, product, Tier.PUBLIC_GOOD)
    manifest = await plane.in_thread(plane.shelf.manifest, item.product_id, item.current_version)
    base = f"{plane.public_url}/open/v1/{item.slug}"
    files = {
        kind: {**entry, "url": f"{base}/files/{kind}"}
        for kind, entry in manifest["files"].items()
        if kind != "serving"
    }
    body = {
        "product": item.product_id,
        "slug": item.slug,
        "title": {"zh": item.title_zh, "en": item.title_en},
        "provider": item.provider_id,
        "license": item.license_note,
        "version": item.current_version,
        "rows": manifest["rows"],
        "columns": manifest["columns"],
        "query_columns": manifest["query_columns"],
        "published_at": manifest["published_at"],
        "files": files,
        "rows_url": f"{base}/rows" if "serving" in manifest["files"] else None,
    }
    return json_answer(body, headers=limits | {"Cache-Control": "no-cache"})
