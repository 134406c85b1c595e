"""A provider's own API as a product: declare where it is and what may be called, rotate its secret."""

import json
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from contracts.terms import DeliveryMode
from market.catalogue import interfaces, queries
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.rules import Permission
from market.web.forms import GUARDED, Form, FormDep, again, leave
from market.web.values import at_fields, build, gathered, whole
from metering.upstream import METHODS, Declaration
from metering.words import HitTest, SecretPlace
from storage.kernel.problem import Invalid

router = APIRouter(
    prefix="/products/{product_id}/interface", dependencies=[*GUARDED, allow(Permission.PRODUCT_BUILD)]
)
_NUMBERS = ("connect_seconds", "read_seconds", "total_seconds", "most_bytes")


@router.get("")
def interface(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """供方接口 · What is declared, the form to declare it while it is a draft, and the secret's own form."""
    with house.store.view() as view:
        product, declared, rotated_at = queries.own_interface(view, actor, product_id)
        editable = queries.is_editable(view, product)
    if request.method == "GET":
        form = _filled(form, declared)
    return page(
        request,
        "product_interface.html",
        form=form,
        product=product,
        declared=declared,
        rotated_at=rotated_at,
        editable=editable and product.delivery == [DeliveryMode.API_CALL],
        called=DeliveryMode.API_CALL in product.delivery,
        methods=METHODS,
        HitTest=HitTest,
        SecretPlace=SecretPlace,
    )


def _filled(form: Form, declared: Declaration | None) -> Form:
    if declared is None:
        return form.filled(
            methods=["GET"],
            secret_in=SecretPlace.HEADER.value,
            secret_name="Authorization",  # noqa: S106  # a header, not a secret
            connect_seconds="5",
            read_seconds="15",
            total_seconds="30",
            most_bytes="8388608",
        )
    values: dict[str, Any] = {name: str(getattr(declared, name)) for name in _NUMBERS}
    values |= {"base_url": declared.base_url, "methods": list(declared.methods)}
    values |= {"paths": "\n".join(declared.paths), "secret_in": declared.secret_in.value}
    values["secret_name"] = declared.secret_name
    if declared.hit is not None:
        values |= {"hit_pointer": declared.hit.pointer, "hit_test": declared.hit.test.value}
        if declared.hit.value is not None:
            values["hit_value"] = json.dumps(declared.hit.value, ensure_ascii=False)
    return form.filled(**values)


def _declared(form: Form) -> Declaration:
    """The form as a declaration. Raises Invalid with every fault of form."""
    numbers = gathered(*(partial(whole, form, name) for name in _NUMBERS))
    values: dict[str, Any] = {name: form[name] for name in ("base_url", "secret_in", "secret_name")}
    values |= {"methods": form.all("methods"), "paths": form["paths"].split()}
    values |= {name: value for name, value in zip(_NUMBERS, numbers, strict=True) if value is not None}
    if form["hit_pointer"] or form["hit_test"]:
        values["hit"] = {"pointer": form["hit_pointer"], "test": form["hit_test"] or HitTest.NON_EMPTY}
        if form["hit_value"]:
            values["hit"]["value"] = _scalar(form["hit_value"])
    return build(Declaration, values)


def _scalar(text: str) -> Any:
    """A number, true or false as JSON writes them, anything else as the text it is.

    >>> _scalar("200"), _scalar("true"), _scalar("OK"), _scalar('"200"')
    (200, True, 'OK', '200')
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | str) else text


@router.post("")
@again(interface)
def declare(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """申报接口 · Address, methods, paths, limits and the secret; each declaration is a version of the draft."""
    declared = _declared(form)
    try:
        with house.store.unit(actor.id, actor.org) as unit:
            interfaces.declare_interface(
                unit,
                actor,
                product_id,
                declared=declared,
                secret=form["secret"],
                settings=house.settings.metering,
            )
    except Invalid as wrong:
        raise Invalid(*at_fields(wrong.faults, 1)) from wrong
    return leave(f"/products/{product_id}/interface", done="interface_declared")


@router.post("/secret")
@again(interface)
def rotate(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """轮换接口密钥 · Calls carry the new secret from the next one on."""
    with house.store.unit(actor.id, actor.org) as unit:
        interfaces.rotate_interface_secret(
            unit, actor, product_id, secret=form["secret"], settings=house.settings.metering
        )
    return leave(f"/products/{product_id}/interface", done="interface_rotated")
