"""One's own organization: the party block, its identity check, its members."""

from dataclasses import fields
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from market.http.body import Upload, receive
from market.http.render import page
from market.http.who import ActorDep, HouseDep, VisitorDep, allow, lang_of
from market.http.work import Streamed, Worker
from market.identity import actions, membership, queries
from market.identity.details import amend_details
from market.identity.rules import (
    DETAIL_LENGTHS,
    ROLES_OF,
    VERIFICATION,
    Details,
    OrgKind,
    Permission,
    Role,
)
from market.web.forms import GUARDED, FormDep, again, leave, once
from storage.kernel.problem import invalid
from storage.objects import keep
from storage.unit import Unit

router = APIRouter(prefix="/organization", dependencies=GUARDED)
EVIDENCE_BYTES = 20 << 20
EVIDENCE_KINDS = {b"%PDF-": "pdf", b"\x89PNG": "png", b"\xff\xd8\xff": "jpg"}


@router.get("", dependencies=[allow(Permission.SELF)])
def organization(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """本组织 · The party block and where the identity check stands."""
    with house.store.view() as view:
        owner = queries.party(view, actor.own_org)
    may_submit = actor.may(Permission.PARTY_EDIT) and "submit" in VERIFICATION.verbs(owner.verification)
    return page(request, "organization.html", form=form, owner=owner, may_submit=may_submit)


@router.get("/details", dependencies=[allow(Permission.SELF)])
def details(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """主体信息 · The form of the party block; who may not write sees it and who may."""
    with house.store.view() as view:
        owner = queries.party(view, actor.own_org)
        heads = queries.administrators(view, owner.id)
    return page(
        request,
        "organization_details.html",
        form=form.filled(**{each.name: getattr(owner, each.name) for each in fields(Details)}),
        owner=owner,
        heads=heads,
        lengths=DETAIL_LENGTHS,
    )


@router.post("/details", dependencies=[allow(Permission.PARTY_EDIT)])
@again(details)
def amend(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """修改主体信息 · Keep the party block; another name or number is checked again."""
    written = Details(**{each.name: form[each.name] for each in fields(Details)})

    def act(unit: Unit) -> str:
        before = queries.party(unit, actor.own_org).verification
        kept = amend_details(unit, actor, written)
        return "details_kept" if kept.verification is before else "details_renamed"

    return leave("/organization", done=once(request, house, actor, form, act))


@router.post("/evidence", dependencies=[allow(Permission.PARTY_EDIT)])
@again(organization)
async def submit_identity(
    request: Request, house: HouseDep, actor: ActorDep, work: Streamed, caller: VisitorDep, form: FormDep
) -> Response:
    """提交身份材料 · Upload the business license and ask for the check."""
    csrf = caller.session.csrf if caller.session else None
    upload = await receive(request, house.incoming, EVIDENCE_BYTES, csrf)
    try:
        await run_in_threadpool(_submit, work, upload)
    finally:
        upload.discard()
    return leave("/organization", done="submitted")


def _submit(work: Worker, upload: Upload) -> None:
    if evidence_kind(upload.path) is None:
        raise invalid(
            "file", "file.kind", "请上传 PDF、PNG 或 JPEG 文件。", "Upload a PDF, PNG or JPEG file."
        )
    stored = work.house.objects.put_file(upload.path, upload.sha256)
    with work.unit() as unit:
        keep(unit, stored)
        actions.submit_identity(unit, work.actor, evidence_sha256=stored.sha256, method="document")


def evidence_kind(path: Path) -> str | None:
    """The kind of a document by its first bytes, whatever its name says."""
    with path.open("rb") as file:
        return kind_of(file.read(8))


def kind_of(first: bytes) -> str | None:
    """`pdf`, `png`, `jpg`, or None.

    >>> kind_of(b"%PDF-1.7"), kind_of(b"MZ")
    ('pdf', None)
    """
    return next((kind for magic, kind in EVIDENCE_KINDS.items() if first.startswith(magic)), None)


@router.get("/members", dependencies=[allow(Permission.MEMBER_INVITE)])
def members(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """成员 · Who acts for the organization, and the invitation form."""
    with house.store.view() as view:
        rows = queries.members(view, actor)
    offered = sorted(ROLES_OF[actor.org_kind or OrgKind.ENTERPRISE])
    return page(request, "members.html", form=form, members=rows, offered=offered)


@router.post("/members", dependencies=[allow(Permission.MEMBER_INVITE)])
@again(members)
def invite(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """邀请成员 · Invite somebody; the one-time link goes by mail only, in the language of this page."""
    known = {str(role): role for role in Role}
    roles = frozenset(known[name] for name in form.all("roles") if name in known)
    with house.store.unit(actor.id, actor.org) as unit:
        membership.invite_member(
            unit, actor, login=form["login"], name=form["name"], roles=roles, lang=lang_of(request)
        )
    return leave("/organization/members", done="invited")


@router.post("/members/{membership_id}/removal", dependencies=[allow(Permission.MEMBER_INVITE)])
@again(members)
def remove(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, membership_id: str) -> Response:
    """移除成员 · End a membership; its sessions end at once."""
    with house.store.unit(actor.id, actor.org) as unit:
        membership.remove_member(unit, actor, membership_id)
    return leave("/organization/members", done="removed")
