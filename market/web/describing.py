"""The description of an asset as a form: the same fields written and read."""

from collections.abc import Sequence
from typing import Any

from contracts.terms import RightKind
from market.registry.rules import MANDATORY, Description, ObtainType
from market.registry.tables import Asset, AssetFile
from market.web.forms import Form
from market.web.values import build, whole, words_of, yes_no
from storage.kernel.words import Words

TEXTS = (
    "title_zh", "title_en", "abstract_zh", "abstract_en", "provider_name", "provider_code", "code", "category",
    "format", "share_condition", "open_condition", "area", "industry", "system", "scale_unit",
    "source_statement", "grade_basis", "pi_basis",
)  # fmt: skip
CHOICES = ("format_kind", "share_type", "open_attr", "update_cycle", "source_kind", "grade", "supply")
DAYS = ("published_on", "coverage_from", "coverage_until")
ANSWERS = {True: "yes", False: "no", None: ""}
# What a return may ask for besides the fields of the form.
PAPERS = {
    "files": Words("数据文件", "data files"),
    "source_evidence": Words("来源佐证材料", "evidence of the source"),
}


def written(asset: Asset) -> dict[str, str | Sequence[str]]:
    """The fields of the form as this asset fills them."""
    fields: dict[str, str | Sequence[str]] = {name: getattr(asset, name) or "" for name in TEXTS}
    fields |= {name: str(getattr(asset, name) or "") for name in (*CHOICES, *DAYS)}
    fields |= {
        "related_codes": "，".join(asset.related_codes),
        "keywords": "，".join(asset.keywords),
        "items": "\n".join(line_of(item) for item in asset.items),
        "scale": "" if asset.scale is None else str(asset.scale),
        "contains_pi": ANSWERS[asset.contains_pi],
        "contains_spi": ANSWERS[asset.contains_spi],
        "committed": "yes" if asset.committed else "",
        "rights": [right["kind"] for right in asset.rights],
    }
    for right in asset.rights:
        for part in ("scope", "limits", "obtained"):
            fields[f"{part}_{right['kind']}"] = right.get(part, "")
    return fields


def described(form: Form, known: Asset | None = None) -> Description:
    """What the form says. known: the asset as it was, for what the form does not show. Raises Invalid."""
    values: dict[str, Any] = {name: form[name] for name in TEXTS}
    values |= {name: form[name] or None for name in (*CHOICES, *DAYS)}
    before = known.rights if known else []
    return build(
        Description,
        values
        | {
            "related_codes": words_of(form["related_codes"]),
            "keywords": words_of(form["keywords"]),
            "items": items_of(form["items"], known.items if known else []),
            "scale": whole(form, "scale"),
            "contains_pi": yes_no(form["contains_pi"]),
            "contains_spi": yes_no(form["contains_spi"]),
            "committed": form["committed"] == "yes",
            "rights": [_right(form, kind, before) for kind in RightKind if kind.value in form.all("rights")],
        },
    )


def _right(form: Form, kind: RightKind, before: Sequence[dict[str, Any]]) -> dict[str, Any]:
    until = next((right.get("valid_until") for right in before if right["kind"] == kind.value), None)
    return {
        "kind": kind.value,
        "scope": form[f"scope_{kind}"],
        "limits": form[f"limits_{kind}"],
        "obtained": form[f"obtained_{kind}"] or ObtainType.ORIGINAL.value,
        "valid_until": until,
    }


def line_of(item: dict[str, Any]) -> str:
    r"""One data item as a line: name, type, note; parted by tabs when the name has spaces.

    >>> line_of({"name": "lot_id", "type": "text", "note": "编号"}), line_of({"name": "lot id"})
    ('lot_id text 编号', 'lot id\ttext')
    """
    mark = "\t" if " " in item["name"] else " "
    return mark.join(part for part in (item["name"], item.get("type") or "text", item.get("note")) if part)


def items_of(text: str, before: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    r"""The data items of a text with one on each line: name, type, note, parted by tabs or else spaces.

    >>> items_of("lot_id text 停车场 编号\nvisits\n")
    [{'name': 'lot_id', 'type': 'text', 'length': None, 'note': '停车场 编号'}, {'name': 'visits', 'type': '', 'length': None, 'note': ''}]
    """
    lengths = {item["name"]: item.get("length") for item in before}
    items = []
    for line in text.splitlines():
        parts = line.split("\t", maxsplit=2) if "\t" in line else line.split(maxsplit=2)
        name, kind, note = [part.strip() for part in [*parts, "", "", ""][:3]]
        if name:
            items.append({"name": name, "type": kind, "length": lengths.get(name), "note": note})
    return items


def from_file(asset: Asset, file: AssetFile) -> Description:
    """The data items and the scale as the uploaded file shows them; notes already written stay."""
    notes = {item["name"]: item.get("note", "") for item in asset.items}
    items = [
        {"name": column["name"], "type": column["kind"], "note": notes.get(column["name"], "")}
        for column in file.profile["schema"]
    ]
    return build(
        Description,
        {"items": items, "scale": file.rows, "scale_unit": "条", "format": file.format},
    )


def gaps_of(text: str) -> list[tuple[str, str]]:
    r"""What a return asks for: `field: note` on each line; the field by its name or its Chinese or English words.

    >>> gaps_of("摘要：写明统计口径\nfiles: 请补充数据\n请盖章")
    [('abstract_zh', '写明统计口径'), ('files', '请补充数据'), ('other', '请盖章')]
    """
    known = MANDATORY | PAPERS
    names = {word: name for name, words in known.items() for word in (name, words.zh, words.en)}
    gaps = []
    for line in text.splitlines():
        head, mark, note = line.replace("：", ":", 1).partition(":")
        field = names.get(head.strip())
        if field and mark and note.strip():
            gaps.append((field, note.strip()))
        elif line.strip():
            gaps.append(("other", line.strip()))
    return gaps
