"""The journal for those who audit: search, one thing's history, and whether the chain holds."""

import re
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response

from market.audit.queries import entries, histories, signed_heads
from market.http.render import page
from market.http.who import HouseDep, allow
from market.identity.queries import parties
from market.identity.queries import people as people_of
from market.identity.rules import Permission
from market.trading.stories import belonging, subject_of_number
from market.web.forms import GUARDED, FormDep, leave
from market.web.histories import HAPPENED
from market.web.words import KINDS
from storage import journal
from storage.kernel.problem import NotFound

router = APIRouter(prefix="/journal", dependencies=[*GUARDED, allow(Permission.JOURNAL_READ)])
SHOWN = 50
# Where a thing can be looked at; the rest is shown by its entries alone.
PLACES = {
    "order": "/orders/",
    "license": "/licenses/",
    "payment": "/payments/",
    "invoice": "/invoices/",
    "refund": "/refunds/",
    "asset": "/assets/",
    "case": "/approvals/",
}


@router.get("")
def search(request: Request, house: HouseDep, form: FormDep) -> Response:
    """流水查询 · Sealed entries, newest first; a thing's id leads to its history."""
    if form["subject"]:
        with house.store.view() as view:
            meant = subject_of_number(view, form["subject"]) or form["subject"]
        return leave(f"/journal/{quote(meant, safe=':')}")
    before = int(form["before"]) if re.fullmatch(r"[1-9][0-9]{0,17}", form["before"]) else None
    with house.store.view() as view:
        rows = entries(
            view,
            kind=form["kind"] or None,
            actor=form["actor"] or None,
            before_seq=before,
            limit=SHOWN,
        )
        people = parties(view, {row.org for row in rows if row.org})
        heads = signed_heads(view, 1)
    verdict = journal.verify_stored(house.store) if form["verify"] else None
    return page(
        request,
        "journal.html",
        form=form,
        rows=rows,
        people=people,
        kinds=HAPPENED | KINDS,
        verdict=verdict,
        head=heads[0] if heads else None,
        limit=SHOWN,
    )


@router.get("/{subject}")
def subject(request: Request, house: HouseDep, form: FormDep, subject: str) -> Response:
    """全程留痕 · The whole story of one thing (`order:ord_…`) and all that belongs to it; `?only=1` itself alone.

    Raises NotFound.
    """
    with house.store.view() as view:
        parts = [subject] if form["only"] else belonging(view, subject)
        rows = histories(view, parts)
        people = parties(view, {row.org for row in rows if row.org})
        names = people_of(view, {row.actor for row in rows})
    if not rows:
        raise NotFound(subject=subject)
    noun, _, thing = subject.partition(":")
    return page(
        request,
        "journal_subject.html",
        subject=subject,
        rows=rows,
        people=people,
        names=names,
        kinds=HAPPENED | KINDS,
        parts=parts,
        only=bool(form["only"]),
        place=PLACES[noun] + thing if noun in PLACES else "",
    )
