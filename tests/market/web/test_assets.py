"""Assets on pages: drafts, uploads, the registrar's desk, and who sees nothing."""

import pytest
from starlette.testclient import TestClient

from market.house import House
from market.registry import queries
from market.registry.rules import AssetState
from tests.market.web.supply import Browser, company, drafted, registrar


def test_a_draft_keeps_what_was_written_and_names_what_is_wrong(client: TestClient, house: House) -> None:
    who = Browser(client, house, company(house))
    assert 'name="title_zh"' in who.see("/assets/new")
    text = who.send("/assets/new", 422, title_zh="客流", scale="-3", coverage_from="上个月", grade="G9")
    assert 'value="客流"' in text
    assert 'id="e-scale"' in text
    text = who.send("/assets/new", 422, title_zh="客流", coverage_from="上个月", grade="G9")
    assert 'id="e-coverage_from"' in text
    assert "日期应写作" in text
    assert 'id="e-grade"' in text
    home = who.send("/assets/new", title_zh="客流", rights=["operate"], scope_operate="对外提供").split("?")[
        0
    ]
    assert "对外提供" in who.see(home)
    who.send(f"{home}/edit", title_zh="客流量", items="lot_id text 停车场\nvisits integer", committed="yes")
    text = who.see(f"{home}/edit")
    assert "lot_id text 停车场\nvisits integer" in text
    assert "客流量" in who.see("/assets")


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "3"),
        ("a.csv", b"", "文件为空"),
        ("a.exe", b"MZ\x90\x00" + bytes(range(256)), ""),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_the_page(
    client: TestClient, house: House, name: str, content: bytes, wanted: str
) -> None:
    owner = company(house)
    asset = drafted(house, owner)
    who = Browser(client, house, owner)
    text = who.upload(f"/assets/{asset.id}/files", name, content, 422)
    assert 'role="alert"' in text
    assert wanted in text
    with house.store.view() as view:
        assert queries.files_of(view, asset.id) == []


def test_submission_lists_everything_missing_with_a_link_to_its_field(
    client: TestClient, house: House
) -> None:
    owner = company(house)
    asset = drafted(house, owner, code="", committed=False)
    who = Browser(client, house, owner)
    text = who.send(f"/assets/{asset.id}/submission", 422)
    assert f'href="/assets/{asset.id}/edit?check=1#f-code"' in text
    assert 'href="#f-file"' in text
    assert 'href="#f-evidence"' in text
    text = who.see(f"/assets/{asset.id}/edit?check=1")
    assert 'id="e-code"' in text
    assert 'id="e-committed"' in text


def test_the_whole_examination(client: TestClient, house: House) -> None:
    owner, officer = company(house), registrar(house)
    asset = drafted(house, owner)
    home = f"/assets/{asset.id}"
    who = Browser(client, house, owner)
    who.upload(f"{home}/files", "客流.csv", b"lot_id,visits\nP1,3\nP2,4\n")
    who.upload(f"{home}/evidence", "授权书.pdf", b"%PDF-1.7 letter")
    with house.store.view() as view:
        [file] = queries.files_of(view, asset.id)
    who.send(f"{home}/files/{file.id}/items")
    assert "visits integer" in who.see(f"{home}/edit")
    who.send(f"{home}/submission")
    assert f"{home}/files" not in who.see(home), "what was submitted is not edited"

    desk = Browser(client, house, officer)
    assert asset.title_zh in desk.see("/assets")
    assert "请列出需要补正的内容" in desk.send(f"{home}/return", 422, reason="材料不全")
    desk.send(f"{home}/return", reason="材料不全", missing="摘要：请写明口径\n请盖章")
    assert asset.title_zh in desk.see("/assets?tab=decided")
    text = who.see(home)
    assert f'href="{home}/edit#f-abstract_zh"' in text
    assert "请盖章" in text
    who.send(f"{home}/submission")
    desk.send(f"{home}/acceptance")
    desk.send(f"{home}/review")
    assert "本登记机构未设公示期" in desk.see(home)
    assert "4 至 500 字" in desk.send(f"{home}/registration", 422, reason="好")
    desk.send(f"{home}/registration", reason="材料齐全")
    assert "SG-370200-R-" in desk.see(home)
    with house.store.view() as view:
        assert queries.asset(view, None, asset.id).state is AssetState.REGISTERED
        [paper] = queries.asset(view, None, asset.id).source_evidence
    assert desk.see(f"{home}/evidence/{paper['sha256']}") == "%PDF-1.7 letter"


def test_another_organization_finds_nothing(client: TestClient, house: House) -> None:
    asset = drafted(house, company(house))
    home = f"/assets/{asset.id}"
    other = Browser(client, house, company(house, "另一家数据公司", "other@dealer.example"))
    for path in (home, f"{home}/edit", f"{home}/evidence/{'0' * 64}"):
        other.see(path, 404)
    for path in ("submission", "withdrawal", "edit", "files/fil_x/removal", "files/fil_x/items"):
        other.send(f"{home}/{path}", 404, title_zh="x")
    other.upload(f"{home}/files", "a.csv", b"a\n1\n", 404)
    other.upload(f"{home}/evidence", "a.pdf", b"%PDF", 404)
    for verb in ("acceptance", "return", "registration", "rejection"):
        other.send(f"{home}/{verb}", 403, reason="材料齐全")
    Browser(client, house, registrar(house)).see(home, 404)  # a draft has not come to the desk
