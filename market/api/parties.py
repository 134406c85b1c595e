"""Organizations: self-registration, identity check, members."""

from datetime import datetime
from pathlib import Path

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from market.http.body import receive
from market.http.who import ActorDep, HouseDep, LangDep, allow
from market.http.work import Streamed, Work, Worker
from market.identity import actions, entrance, membership, queries
from market.identity.details import amend_details
from market.identity.rules import Details, IdType, OrgKind, Permission, Role, Verification
from market.identity.tables import Party
from storage.kernel.words import Lang
from storage.objects import keep
from storage.unit import Unit

router = APIRouter(prefix="/parties", tags=["parties"])


class EnterpriseForm(BaseModel, extra="forbid"):
    name: str = Field(min_length=2, max_length=100, examples=["青岛海风数据应用有限公司"])
    id_number: str = Field(max_length=40, description="统一社会信用代码")
    address: str = Field("", max_length=200)
    legal_representative: str = Field("", max_length=60)
    contact: str = Field("", max_length=60)
    phone: str = Field("", max_length=40)
    bank_account: str = Field("", max_length=100)
    login: str = Field(max_length=254, description="邮箱 e-mail")
    person: str = Field(max_length=60)
    password: str = Field(max_length=128)
    lang: Lang | None = Field(None, description="邮件语言 language of the mails; else Accept-Language")


class PartyView(BaseModel, from_attributes=True):
    id: str
    name: str
    org_kind: OrgKind | None
    id_type: IdType
    id_number: str
    verification: Verification
    check_reason: str
    created_at: datetime


class DetailsForm(BaseModel, extra="forbid"):
    name: str = Field(min_length=2, max_length=100)
    id_number: str = Field(max_length=40, description="统一社会信用代码")
    address: str = Field(min_length=1, max_length=200)
    legal_representative: str = Field("", max_length=60)
    contact: str = Field("", max_length=60)
    phone: str = Field("", max_length=40)
    email: str = Field("", max_length=254)
    bank_account: str = Field("", max_length=100)


class OwnPartyView(PartyView):
    address: str
    legal_representative: str
    contact: str
    phone: str
    email: str
    bank_account: str


class Decision(BaseModel, extra="forbid"):
    verify: bool
    reason: str = Field(min_length=4, max_length=500)


class Invitation(BaseModel, extra="forbid"):
    login: str = Field(max_length=254)
    name: str = Field(max_length=60)
    roles: list[Role]
    lang: Lang | None = Field(None, description="邮件语言 language of the mails; else Accept-Language")


class Invited(BaseModel):
    user: str


class MemberView(BaseModel):
    id: str
    user: str
    login: str
    name: str
    roles: list[str]


def _view(row: Party) -> PartyView:
    return PartyView.model_validate(row)


@router.post("/enterprises", status_code=201)
def register(house: HouseDep, asked: LangDep, body: EnterpriseForm) -> PartyView:
    """企业注册 · An enterprise registers itself; it may order once its identity is verified."""
    form = actions.PartyForm(
        name=body.name,
        id_number=body.id_number,
        org_kind=OrgKind.ENTERPRISE,
        address=body.address,
        legal_representative=body.legal_representative,
        contact=body.contact or body.person,
        phone=body.phone,
        email=body.login,
        bank_account=body.bank_account,
    )
    _user, party = entrance.register_enterprise(
        house.store,
        form,
        login=body.login,
        name=body.person,
        password=body.password,
        lang=body.lang or asked,
    )
    return _view(party)


@router.get("/own", dependencies=[allow(Permission.SELF)])
def own(house: HouseDep, actor: ActorDep) -> OwnPartyView:
    """本组织 · The organization acted for."""
    with house.store.view() as view:
        return OwnPartyView.model_validate(queries.party(view, actor.own_org))


@router.put("/own/details", dependencies=[allow(Permission.PARTY_EDIT)])
def amend(work: Work, body: DetailsForm) -> OwnPartyView:
    """修改主体信息 · Write the party block anew; another name or number is checked again."""
    details = Details(**body.model_dump())
    return work.once(
        OwnPartyView,
        lambda unit: OwnPartyView.model_validate(amend_details(unit, work.actor, details)),
    )


@router.post("/own/evidence", dependencies=[allow(Permission.PARTY_EDIT)])
async def submit_identity(request: Request, work: Streamed) -> PartyView:
    """提交身份材料 · Upload the business license (PDF or image, 20 MiB at most) and ask for the check."""
    upload = await receive(request, work.house.incoming, 20 << 20)
    try:
        return await run_in_threadpool(_submit, work, upload.path, upload.sha256)
    finally:
        upload.discard()


def _submit(work: Worker, path: Path, sha256: str) -> PartyView:
    stored = work.house.objects.put_file(path, sha256)
    with work.unit() as unit:
        keep(unit, stored)
        return _view(
            actions.submit_identity(unit, work.actor, evidence_sha256=stored.sha256, method="document")
        )


@router.get("/waiting", dependencies=[allow(Permission.PARTY_VERIFY)])
def waiting(house: HouseDep) -> list[PartyView]:
    """待核验 · Whose identity waits for a check, oldest first."""
    with house.store.view() as view:
        return [_view(row) for row in queries.waiting_for_check(view)]


@router.post("/{party_id}/decision", dependencies=[allow(Permission.PARTY_VERIFY)])
def decide(work: Work, party_id: str, body: Decision) -> PartyView:
    """身份核验 · Accept or refuse the documents, with a reason the applicant reads."""
    return work.once(
        PartyView,
        lambda unit: _view(
            actions.decide_identity(unit, work.actor, party_id, verify=body.verify, reason=body.reason)
        ),
    )


@router.get("/own/members", dependencies=[allow(Permission.MEMBER_INVITE)])
def members(house: HouseDep, actor: ActorDep) -> list[MemberView]:
    """成员 · The members of one's organization."""
    with house.store.view() as view:
        return [
            MemberView(id=m.id, user=u.id, login=u.login, name=u.name, roles=m.roles)
            for m, u in queries.members(view, actor)
        ]


@router.post("/own/members", status_code=201, dependencies=[allow(Permission.MEMBER_INVITE)])
def invite(work: Work, asked: LangDep, body: Invitation) -> Invited:
    """邀请成员 · Invite somebody; the one-time link goes by mail only."""

    def act(unit: Unit) -> Invited:
        membership.invite_member(
            unit,
            work.actor,
            login=body.login,
            name=body.name,
            roles=frozenset(body.roles),
            lang=body.lang or asked,
        )
        return Invited(user=body.login)

    return work.once(Invited, act)


@router.delete(
    "/own/members/{membership_id}", status_code=204, dependencies=[allow(Permission.MEMBER_INVITE)]
)
def remove(work: Work, membership_id: str, response: Response) -> None:
    """移除成员 · End a membership; its sessions end at once."""
    with work.unit() as unit:
        membership.remove_member(unit, work.actor, membership_id)
    response.status_code = 204
