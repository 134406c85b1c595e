"""Interfaces: a provider declares its own API as the product, and rotates the secret we call it with."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field, SecretStr

from market.catalogue import interfaces, queries
from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from metering.upstream import Declaration
from storage.kernel.problem import NotFound

router = APIRouter(prefix="/products/{product_id}/interface", tags=["products"])
BUILD = allow(Permission.PRODUCT_BUILD)


class InterfaceForm(BaseModel, extra="forbid"):
    declaration: Declaration
    secret: SecretStr = Field(
        SecretStr(""),
        description="整个请求头或参数的值，封存后不再显示 the whole value; sealed, never shown again",
    )


class SecretForm(BaseModel, extra="forbid"):
    secret: SecretStr = Field(
        description="封存后不再显示 sealed, never shown again", examples=["Bearer 9f2c…"]
    )


class InterfaceView(BaseModel):
    product_id: str
    version: int | None
    declaration: Declaration
    secret_set_at: datetime


@router.get("", dependencies=[BUILD])
def interface(house: HouseDep, actor: ActorDep, product_id: str) -> InterfaceView:
    """供方接口 · What is declared of your own API; the secret is never shown."""
    with house.store.view() as view:
        product, declared, rotated_at = queries.own_interface(view, actor, product_id)
    if declared is None or rotated_at is None:
        raise NotFound(product=product_id)
    return InterfaceView(
        product_id=product.id,
        version=product.current_version,
        declaration=declared,
        secret_set_at=rotated_at,
    )


@router.put("", dependencies=[BUILD])
def declare(work: Work, product_id: str, body: InterfaceForm) -> InterfaceView:
    """申报接口 · Declare it, while the product is a draft; each declaration is a version of the product."""
    with work.unit() as unit:
        version = interfaces.declare_interface(
            unit,
            work.actor,
            product_id,
            declared=body.declaration,
            secret=body.secret.get_secret_value(),
            settings=work.house.settings.metering,
        )
        return InterfaceView(
            product_id=version.product_id,
            version=version.number,
            declaration=body.declaration,
            secret_set_at=version.published_at,
        )


@router.put("/secret", status_code=204, dependencies=[BUILD])
def rotate(work: Work, product_id: str, body: SecretForm) -> None:
    """轮换接口密钥 · Calls carry the new secret from the next one on."""
    with work.unit() as unit:
        interfaces.rotate_interface_secret(
            unit,
            work.actor,
            product_id,
            secret=body.secret.get_secret_value(),
            settings=work.house.settings.metering,
        )
