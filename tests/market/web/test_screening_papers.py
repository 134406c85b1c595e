"""A provider files an assessment, compliance checks it and notes a dispute: every step by page."""

from typing import Any

from sqlmodel import select
from starlette.testclient import TestClient

from market.house import House
from market.identity.rules import OrgKind, Role
from market.screening.tables import AssetFiling
from tests.market.assets import registered
from tests.market.web.supply import Browser, company
from tests.people import organization, person

PAPER: dict[str, Any] = {
    "kind": "risk_assessment",
    "number": "鲁数评〔2026〕12号",
    "authority": "省数据局",
    "dated": "2026-10-01",
}


def test_a_paper_is_filed_checked_and_a_dispute_noted_and_settled(client: TestClient, house: House) -> None:
    owner = company(house)
    asset = registered(house.store, owner.actor)
    provider = Browser(client, house, owner)
    operator = organization(house.store, OrgKind.MARKET_OPERATOR, "青岛数据交易中心")
    compliance = Browser(client, house, person(house.store, operator, "c@operator.example", Role.COMPLIANCE))

    home = f"/assets/{asset.id}/screening"
    again = provider.send(f"/assets/{asset.id}/papers", 422, **(PAPER | {"dated": "2999-01-01"}))
    assert "不晚于今天" in again
    assert "鲁数评〔2026〕12号" in again
    provider.send(f"/assets/{asset.id}/papers", **PAPER)
    assert "待核对" in provider.see(home)

    assert "鲁数评〔2026〕12号" in compliance.see("/screening")
    with house.store.view() as view:
        paper = view.session.exec(select(AssetFiling)).one()
    page = f"/screening/papers/{paper.id}"
    assert "省数据局" in compliance.see(page)
    compliance.send(page, 422, verdict="accept", reason="好")
    compliance.send(page, verdict="accept", reason="已向出具机关核实")
    compliance.see(page, 404)
    assert "有效" in provider.see(home)

    noted: dict[str, Any] = {
        "registration": asset.number,
        "number": "(2026)鲁02民初88号",
        "authority": "青岛中院",
    }
    assert "没有该登记编号" in compliance.send(
        "/screening/disputes", 422, **(noted | {"registration": "SG-1", "dated": "2026-10-01"})
    )
    compliance.send("/screening/disputes", **noted, dated="2026-10-01")
    assert "(2026)鲁02民初88号" in compliance.see("/screening")
    with house.store.view() as view:
        dispute = view.session.exec(select(AssetFiling).where(AssetFiling.id != paper.id)).one()
    provider.send(f"/screening/disputes/{dispute.id}/end", 403, reason="我们认为已解决")
    compliance.send(f"/screening/disputes/{dispute.id}/end", reason="判决已生效，权属无争议")
    assert "(2026)鲁02民初88号" not in compliance.see("/screening")
