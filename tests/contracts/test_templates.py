import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.problems import TemplateNotFound
from contracts.templates import (
    LANGS,
    ROOT,
    Template,
    TemplateBroken,
    compose,
    content_hash,
    latest,
    load,
    templates,
)
from storage.kernel.problem import Invalid
from storage.kernel.words import Lang
from tests.contracts.samples import (
    DAY,
    SLOTS,
    commercial,
    conditional_content,
    content,
    everything_printed,
    open_content,
    provision,
)

HEADINGS = {
    "zh": [
        "标的数据",
        "数据产权安排",
        "处理目的、方式、范围与双方义务",
        "质量标准",
        "交付",
        "费用与支付",
        "验收",
        "不合格的补救",
        "风险负担",
        "知识产权与商业秘密",
        "保密",
        "数据安全与合规",
        "违约责任",
        "变更、中止、解除与终止",
        "法律适用与争议解决",
        "其他",
    ],
}


def faults(refused: pytest.ExceptionInfo[Invalid]) -> dict[str, str]:
    return {fault.field: fault.rule for fault in refused.value.faults}


def test_the_provision_contract_has_its_sixteen_articles_in_both_languages() -> None:
    text = content()["text"]
    assert [article["heading"] for article in text["zh"]["articles"]] == HEADINGS["zh"]
    assert [article["number"] for article in text["zh"]["articles"]][::15] == ["第一条", "第十六条"]
    assert [article["number"] for article in text["en"]["articles"]][::15] == ["Article 1", "Article 16"]
    assert [annex["number"] for annex in text["zh"]["annexes"]] == ["附件一", "附件二"]
    for zh, en in zip(text["zh"]["articles"], text["en"]["articles"], strict=True):
        assert [c["number"] for c in zh["clauses"]] == [c["number"] for c in en["clauses"]]


@pytest.mark.parametrize("made", [content, open_content, conditional_content])
@pytest.mark.parametrize("lang", LANGS)
def test_nothing_unfilled_is_printed(made: Any, lang: Lang) -> None:
    printed = everything_printed(made()["text"][lang])
    assert not re.search(r"[{}]|None|\bTrue\b|\bFalse\b|。；|；；", printed)
    assert lang == "zh" or not re.search(r"[。；，]", printed.split("Data source")[0].split("Content:")[0])


def test_the_text_says_what_it_is_and_which_language_prevails() -> None:
    zh, en = (everything_printed(content()["text"][lang]) for lang in LANGS)
    assert "参照《数据提供合同（示范文本）》（GF-2025-2615），并非该示范文本" in zh
    assert "it is not that model contract" in en
    assert "以中文本为准" in zh
    assert "the Chinese text prevails" in en
    assert "网络数据安全管理条例》第十二条" in zh
    for party in ("某某海上风电运维（青岛）有限公司", "青岛数据集团有限公司"):
        assert party in zh
        assert party in en


@pytest.mark.parametrize(
    ("slots", "there", "gone"),
    [
        ({"dispute": "arbitration"}, "提交青岛仲裁委员会", "提起诉讼"),
        ({"personal_data": "consented"}, "取得单独同意", "不含个人信息"),
        ({"registration": "SG-370200-P-2026-000001-C"}, "登记编号为 SG-370200-P-2026-000001-C", "\x00"),
        ({"use_limits": "不得用于个人征信"}, "其他限制：不得用于个人征信", "\x00"),
    ],
)
def test_slots_choose_the_clauses(slots: dict[str, Any], there: str, gone: str) -> None:
    printed = everything_printed(content(**slots)["text"]["zh"])
    assert there in printed
    assert gone not in printed


def test_a_free_commercial_contract_has_no_word_of_payment() -> None:
    free = content(commercial(price={}, prepay_fen=0), payee_name=None, payee_bank=None, payee_account=None)
    printed = everything_printed(free["text"]["zh"])
    assert "乙方不向甲方收取费用" in printed
    assert "违约金低于" not in printed
    assert "收款账户" not in printed


def test_each_missing_or_wrong_slot_is_named() -> None:
    wrong: dict[str, Any] = {
        "data_content": None,
        "payee_bank": "",
        "delivery_days": 0,
        "grade": "G9",
        "place": 7,
        "quality": [{"metric": "缺失率", "target": "1%", "colour": "red"}],
        "buyer": {"name": "x"},
        "nonsense": 1,
    }
    with pytest.raises(Invalid) as refused:
        content(**wrong)
    assert faults(refused) == {
        "data_content": "missing",
        "payee_bank": "missing",
        "delivery_days": "int.small",
        "grade": "choice",
        "place": "text",
        "quality.0.colour": "extra_forbidden",
        "quality.0.method": "missing",
        "buyer": "extra_forbidden",
        "nonsense": "extra_forbidden",
    }


def test_the_same_input_gives_the_same_hash() -> None:
    assert content_hash(content()) == content_hash(content())


def _other(slot_type: str, value: Any) -> st.SearchStrategy[Any]:
    if slot_type == "int":
        return st.integers(1, 10).filter(lambda number: number != value)
    return st.text("甲乙丙abc", min_size=1, max_size=30).filter(lambda text: text != value)


@given(data=st.data())
def test_any_changed_slot_changes_the_hash(data: st.DataObject) -> None:
    open_slots = [slot for slot in provision().to_fill() if slot.type in ("text", "int")]
    slot = data.draw(st.sampled_from(open_slots))
    given_value = SLOTS.get(slot.name, slot.default)
    changed = content(**{slot.name: data.draw(_other(slot.type, given_value))})
    assert content_hash(changed) != content_hash(content())


def test_number_and_day_are_part_of_the_hash() -> None:
    other = compose(provision(), commercial(), SLOTS, number="HT-2615-2026-000002-X", dated=DAY)
    assert content_hash(other) != content_hash(content())


@given(text=st.sampled_from(["{seller}", "{@fees}", "<script>", "{{ 7*7 }}", "{nope}"]))
def test_what_a_party_writes_is_printed_and_never_interpreted(text: str) -> None:
    assert text in everything_printed(content(data_content=text)["text"]["zh"])


def test_every_template_on_disk_loads() -> None:
    names = {(template.slug, template.version) for template in templates()}
    assert names >= {("open-license", "2026.1"), ("conditional-open", "2026.1"), ("data-provision", "2026.1")}


@pytest.mark.parametrize(("slug", "version"), [("no-such", "1"), ("..", ".."), ("data-provision", "1999.1")])
def test_an_unknown_template_is_not_found(slug: str, version: str) -> None:
    with pytest.raises(TemplateNotFound):
        load(slug, version)
    with pytest.raises(TemplateNotFound):
        latest("no-such")


def copied(tmp_path: Path, edit: dict[str, tuple[str, str]]) -> Template:
    folder = tmp_path / "open-license" / "2026.1"
    shutil.copytree(ROOT / "open-license" / "2026.1", folder)
    for name, (old, new) in edit.items():
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
    return load("open-license", "2026.1", tmp_path)


def test_a_changed_file_is_another_template(tmp_path: Path) -> None:
    changed = copied(tmp_path, {"en.toml": ("worldwide", "world-wide")})
    assert changed.sha256 != latest("open-license").sha256


@pytest.mark.parametrize(
    "edit",
    [
        {
            "en.toml": (
                '  "Where the Data has been modified',
                '  "One more.",\n  "Where the Data has been modified',
            )
        },
        {"en.toml": ("{update_cycle}", "daily")},
        {"zh.toml": ("{update_cycle}", "{cycle}"), "en.toml": ("{update_cycle}", "{cycle}")},
        {"zh.toml": ('when = "registration"', 'when = "version"')},
    ],
)
def test_languages_that_differ_in_shape_are_refused(tmp_path: Path, edit: dict[str, tuple[str, str]]) -> None:
    with pytest.raises(TemplateBroken):
        copied(tmp_path, edit)
