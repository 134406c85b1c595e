"""凭证的样子 A certificate's content as lines people read, in both languages: for the print and the public check."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from contracts.terms import RightKind
from market.policy.inputs import DataGrade, OpenAttr, SupplyKind
from market.registry.rules import FormatKind, ObtainType, ShareType, SourceKind, UpdateCycle
from storage.kernel.words import Worded, Words

Lines = list[tuple[Words, Words]]
_ENUMS: dict[str, tuple[type[Worded], Words]] = {
    "source_kind": (SourceKind, Words("数据来源", "Source")),
    "update_cycle": (UpdateCycle, Words("更新周期", "Update cycle")),
    "format_kind": (FormatKind, Words("资源格式", "Format class")),
    "share_type": (ShareType, Words("共享类型", "Share type")),
    "open_attr": (OpenAttr, Words("开放属性", "Openness")),
    "supply": (SupplyKind, Words("供给类型", "Kind of supply")),
    "grade": (DataGrade, Words("数据分级", "Grade")),
}


def face_lines(content: Mapping[str, Any]) -> Lines:
    """公开信息. What anybody may read of a certificate: no credit codes, no contents, no limits of rights."""
    rights = [RightKind(right["kind"]).words for right in content["rights"]]
    lines: Lines = [
        (Words("登记编号", "Registration number"), _same(content["number"])),
        (Words("国家登记编码", "National code"), _same(content["national_code"] or "—")),
        (Words("登记类型", "Type of registration"), _both(content["registration_type"])),
        (Words("对象类型", "Object"), _both(content["object_type"])),
        (Words("名称", "Name"), _both(content["name"])),
        (
            Words("内容简介", "Summary"),
            Words(content["summary"]["zh"], content["summary"]["en"] or content["summary"]["zh"]),
        ),
        (
            Words("登记主体", "Registrant"),
            _same(content["registrant"]["name"] or content["registrant"]["id"]),
        ),
        (Words("提供方", "Supplying unit"), _same(content["provider"]["name"])),
        (
            Words("权利内容", "Rights"),
            Words("、".join(w.zh for w in rights), ", ".join(w.en for w in rights)),
        ),
        (Words("行业代码", "Industry"), _same(content["industry"])),
        (Words("空间范围", "Area"), _same(content["area"])),
        (Words("时间范围", "Time range"), _range(content["coverage_from"], content["coverage_until"])),
    ]
    for name, (kind, label) in _ENUMS.items():
        if content[name] is not None:
            lines.append((label, kind(content[name]).words))
    if content["scale"] is not None:
        lines.append(
            (Words("数据规模", "Scale"), _same(f"{content['scale']:,} {content['scale_unit']}".strip()))
        )
    lines += [
        (Words("含个人信息", "Personal information"), _yes(content["contains_pi"])),
        (Words("公示", "Public notice"), _notice(content["notice"])),
        (Words("发证时间", "Issued"), _same(_moment(content["issued_at"]))),
        (
            Words("有效期", "Valid"),
            Words(
                f"{_moment(content['valid_from'])} 至 {_moment(content['valid_until'])}",
                f"{_moment(content['valid_from'])} to {_moment(content['valid_until'])}",
            ),
        ),
        (
            Words("登记机构", "Registrar"),
            _same(content["registrar"]["name"] or content["registrar"]["id"] or "—"),
        ),
    ]
    return lines


def printed_lines(content: Mapping[str, Any]) -> dict[str, Any]:
    """打印内容. Every line of the printed certificate, which its holder keeps: the public ones and the holder's own."""
    lines = face_lines(content)
    lines.append(
        (Words("登记主体代码", "Registrant's code"), _same(content["registrant"]["id_number"] or "—"))
    )
    for right in content["rights"]:
        kind, obtained = RightKind(right["kind"]).words, ObtainType(right["obtained"]).words
        limits = right.get("limits") or ""
        value = Words(
            f"{right['scope']}（{obtained.zh}{'；' + limits if limits else ''}）",
            f"{right['scope']} ({obtained.en}{'; ' + limits if limits else ''})",
        )
        lines.append((Words(f"{kind.zh}范围", f"Scope: {kind.en}"), value))
    lines.append((Words("结构指纹", "Schema fingerprint"), _same(content["schema_hash"])))
    lines += [(Words("内容存证", "Content evidence"), _same(sha256)) for sha256 in content["contents"][:20]]
    return {
        "number": content["number"],
        "dated": content["issued_at"][:10],
        "lines": [[label.zh, label.en, value.zh, value.en] for label, value in lines],
        "disclaimer": content["disclaimer"],
    }


def _same(text: str) -> Words:
    return Words(text, text)


def _both(words: Mapping[str, str]) -> Words:
    return Words(words["zh"], words["en"] or words["zh"])


def _yes(answer: bool | None) -> Words:
    return Words("是", "yes") if answer else Words("否", "no")


def _range(begin: str | None, end: str | None) -> Words:
    return Words(f"{begin or '—'} 至 {end or '持续更新'}", f"{begin or '—'} to {end or 'still growing'}")


def _notice(notice: Mapping[str, Any] | None) -> Words:
    if notice is None:
        return Words("未设公示期", "No days of notice were set")
    return Words(
        f"{notice['number']}，{notice['days']} 个工作日，异议 {notice['objections']} 件，均不成立"
        if notice["objections"]
        else f"{notice['number']}，{notice['days']} 个工作日，无异议",
        f"{notice['number']}, {_counted(notice['days'], 'working day')}, "
        f"{_counted(notice['objections'], 'objection')}"
        + (", none sustained" if notice["objections"] else ""),
    )


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}" if number == 1 else f"{number or 'no'} {noun}s"


def _moment(at: str | None) -> str:
    # Registration counts in the registrar's civil time: China has one zone and no summer time.
    if at is None:
        return "—"
    return datetime.fromisoformat(at).astimezone(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m-%d %H:%M")
