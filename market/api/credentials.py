"""Credentials of programs: kept by the buyer, secret shown once, rotated without a gap."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field

from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from metering import actions
from metering.queries import credentials as credentials_of
from metering.tables import Credential
from metering.words import OneSecret
from storage.unit import Unit

router = APIRouter(prefix="/credentials", tags=["credentials"])
KEEP = allow(Permission.CREDENTIAL_KEEP, Permission.PRODUCT_BUILD)


Networks = Annotated[
    list[Annotated[str, Field(max_length=50)]],
    Field(max_length=20, description="允许的网段，空为不限 networks; empty is anywhere"),
]


class CredentialForm(BaseModel, extra="forbid"):
    name: str = Field(min_length=1, max_length=80, examples=["生产环境 production"])
    cidrs: Networks = []


class NetworksForm(BaseModel, extra="forbid"):
    cidrs: Networks


class RotationForm(BaseModel, extra="forbid"):
    end: OneSecret | None = Field(
        None,
        description="立即停用哪一个；旧密钥仍有效时必填 which secret ends now; needed while the older one is valid",
    )


class CredentialView(BaseModel):
    client_id: str
    name: str
    kept_by: str = Field(description="保管人 the person it ends with")
    cidrs: list[str]
    kept_at: datetime
    older_until: datetime | None = Field(description="旧密钥有效至 the older secret works until then")
    ended_at: datetime | None


class CredentialSecret(CredentialView):
    client_secret: str = Field(description="只显示一次 shown once")


class RotatedView(CredentialView):
    client_secret: str | None = Field(
        description="只显示一次，重复请求时为空 shown once: null when the same Idempotency-Key comes again"
    )


def _view(row: Credential) -> CredentialView:
    return CredentialView(
        client_id=row.id,
        name=row.name,
        kept_by=row.kept_by,
        cidrs=list(row.cidrs),
        kept_at=row.kept_at,
        older_until=actions.older_valid_until(row),
        ended_at=row.ended_at,
    )


@router.get("", dependencies=[KEEP])
def credentials(house: HouseDep, actor: ActorDep) -> list[CredentialView]:
    """接入凭证 · Your organization's client credentials."""
    with house.store.view() as view:
        return [_view(row) for row in credentials_of(view, actor.own_org)]


@router.post("", status_code=201, dependencies=[KEEP])
def keep(work: Work, body: CredentialForm) -> CredentialSecret:
    """新建凭证 · The secret is shown once and kept as a hash; a retry with the same key makes another.

    The Idempotency-Key is not needed here: repeating it would show the secret again.
    """
    with work.unit() as unit:
        row, secret = actions.keep_credential(
            unit,
            org_id=work.actor.own_org,
            kept_by=work.actor.person,
            name=body.name,
            cidrs=body.cidrs,
        )
        return CredentialSecret(**_view(row).model_dump(), client_secret=secret)


@router.post("/{client_id}/rotation", dependencies=[KEEP])
def rotate(work: Work, client_id: str, body: Annotated[RotationForm | None, Body()] = None) -> RotatedView:
    """轮换密钥 · A new secret; the older one works for some days.

    The same Idempotency-Key rotates once. The answer given again holds no secret, for none is kept: if the first
    answer was lost, rotate under a new key with `end` newer, and the secret in use goes on.
    """
    hours = work.house.settings.metering.older_secret_hours
    shown: list[str] = []

    def act(unit: Unit) -> CredentialView:
        row, secret = actions.rotate_credential(
            unit,
            client_id,
            org_id=work.actor.own_org,
            kept_by=work.actor.person,
            older_hours=hours,
            end=body.end if body else None,
        )
        shown[:] = [secret]
        return _view(row)

    rotated = work.once(CredentialView, act)
    return RotatedView(**rotated.model_dump(), client_secret=shown[0] if shown else None)


@router.put("/{client_id}/networks", dependencies=[KEEP])
def set_networks(work: Work, client_id: str, body: NetworksForm) -> CredentialView:
    """更改允许的网段 · Where it may be used from; tokens issued for other networks are refused from the next request on."""
    with work.unit() as unit:
        return _view(actions.set_networks(unit, client_id, org_id=work.actor.own_org, cidrs=body.cidrs))


@router.delete("/{client_id}", status_code=204, dependencies=[KEEP])
def end(work: Work, client_id: str) -> None:
    """停用凭证 · Its tokens are refused from the next request on."""
    with work.unit() as unit:
        actions.end_credential(unit, client_id, org_id=work.actor.own_org, reason="ended by its owner")
