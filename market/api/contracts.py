"""Contracts: the text, the witnessed file that verifies offline, the printed copy."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from contracts import keyring
from contracts.problems import ContractNotFound
from contracts.rules import ContractState
from market.http.who import ActorDep, HouseDep, allow
from market.identity.rules import Permission
from market.trading.queries import readable_contract
from storage.kernel.problem import NotFound

router = APIRouter(tags=["contracts"])
READ = allow(Permission.ORDER_READ)


class ContractView(BaseModel, from_attributes=True):
    id: str
    number: str
    state: ContractState
    seller_id: str
    buyer_id: str
    content_hash: str
    content: dict[str, Any]


@router.get("/contracts/{contract_id}", dependencies=[READ])
def contract(house: HouseDep, actor: ActorDep, contract_id: str) -> ContractView:
    """合同 · Text, hash and state of a contract."""
    with house.store.view() as view:
        return ContractView.model_validate(readable_contract(view, actor, contract_id))


@router.get("/contracts/{contract_id}/file", dependencies=[READ])
def signed_file(house: HouseDep, actor: ActorDep, contract_id: str) -> JSONResponse:
    """签署文件 · The witnessed file for `shugang verify contract`."""
    with house.store.view() as view:
        found = readable_contract(view, actor, contract_id)
    if found.document is None:
        raise ContractNotFound(contract=contract_id)
    return JSONResponse(
        found.document, headers={"Content-Disposition": f'attachment; filename="{found.number}.json"'}
    )


@router.get("/contracts/{contract_id}/pdf", dependencies=[READ], response_class=Response)
def printed(house: HouseDep, actor: ActorDep, contract_id: str) -> Response:
    """打印本 · The contract as PDF/A, made soon after both sides accepted."""
    with house.store.view() as view:
        found = readable_contract(view, actor, contract_id)
    if found.pdf_sha256 is None:
        raise NotFound(contract=contract_id)
    with house.objects.open(found.pdf_sha256) as source:
        body = source.read()
    return Response(
        body,
        media_type="application/pdf",
        headers={"Content-Disposition": f'inline; filename="{found.number}.pdf"'},
    )


@router.get("/document-keys")
def document_keys(house: HouseDep) -> dict[str, list[dict[str, Any]]]:
    """文档公钥 · The public keys that verify contracts, certificates, invoices and statements; keep a copy of your own."""
    with house.store.view() as view:
        return {"keys": keyring.trusted_keys(view)}
