"""Identity checks: the queue of the compliance officers, and each decision with its reason."""

from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from market.house import House
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity import actions, queries
from market.identity.rules import Permission
from market.web.forms import GUARDED, FormDep, again, leave
from market.web.organization import kind_of
from storage.kernel.problem import NotFound, invalid

router = APIRouter(prefix="/compliance/parties", dependencies=[*GUARDED, allow(Permission.PARTY_VERIFY)])
PART = 64 << 10  # bytes
MEDIA = {"pdf": "application/pdf", "png": "image/png", "jpg": "image/jpeg"}


@router.get("")
def queue(request: Request, house: HouseDep) -> Response:
    """待核验 · Whose identity waits for a check, oldest first."""
    with house.store.view() as view:
        waiting = queries.waiting_for_check(view)
    return page(request, "compliance_queue.html", waiting=waiting)


@router.get("/{party_id}")
def matter(request: Request, house: HouseDep, form: FormDep, party_id: str) -> Response:
    """核验 · One party's documents and the decision form."""
    with house.store.view() as view:
        party = queries.party(view, party_id)
    return page(request, "compliance_party.html", form=form, party=party)


@router.get("/{party_id}/document")
def document(house: HouseDep, party_id: str) -> Response:
    """身份材料 · The document handed in, as a download."""
    with house.store.view() as view:
        sha256 = str(queries.party(view, party_id).evidence.get("sha256", ""))
    if not sha256 or not house.objects.exists(sha256):
        raise NotFound(document=party_id)
    with house.objects.open(sha256, 0, 8) as first:
        kind = kind_of(first.read(8)) or "bin"
    return StreamingResponse(
        _read(house, sha256),
        media_type=MEDIA.get(kind, "application/octet-stream"),
        headers={"Content-Disposition": f'attachment; filename="{party_id}.{kind}"'},
    )


def _read(house: House, sha256: str) -> Iterator[bytes]:
    """The document in parts; closed at its end, and also when the reader leaves."""
    with house.objects.open(sha256) as file:
        while part := file.read(PART):
            yield part


@router.post("/{party_id}")
@again(matter)
def decide(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, party_id: str) -> Response:
    """身份核验 · Accept or refuse the documents."""
    if form["verdict"] not in {"verify", "reject"}:
        raise invalid("verdict", "required", "请选择核验结论。", "Choose the verdict.")
    with house.store.unit(actor.id, actor.org) as unit:
        actions.decide_identity(
            unit, actor, party_id, verify=form["verdict"] == "verify", reason=form["reason"][:500]
        )
    return leave("/compliance/parties", done="decided")
