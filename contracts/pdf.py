"""The contract and the certificate on paper: typst with an embedded Chinese font, PDF/A-2b, the same bytes for the same content."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import noto_cjk_sans_otc
import typst

from contracts.templates import LANGS, ROOT, content_hash
from storage.unit import slow

_FONTS = Path(noto_cjk_sans_otc.__file__).parent


def render_pdf(
    content: Mapping[str, Any], acceptances: Sequence[Mapping[str, str]] = (), *, root: Path = ROOT
) -> bytes:
    """合同打印本. The contract in both languages, the prevailing one first, as PDF/A-2b.

    acceptances: as in the signed document; printed in the signature block. About 0.2 s.
    Raises SlowInsideUnit while a Unit is open.
    """
    slow("pdf")
    made = typst.compile(
        root / "contract.typ",
        root=root,
        font_paths=[_FONTS],
        ignore_system_fonts=True,
        sys_inputs={"contract": _printed(content, acceptances)},
        pdf_standards=["a-2b"],
    )
    return bytes(made)


def render_png(
    content: Mapping[str, Any],
    acceptances: Sequence[Mapping[str, str]] = (),
    *,
    ppi: int = 80,
    root: Path = ROOT,
) -> list[bytes]:
    """The pages of the printed contract as PNG images, for a preview."""
    slow("pdf")
    made: Any = typst.compile(
        root / "contract.typ",
        root=root,
        font_paths=[_FONTS],
        ignore_system_fonts=True,
        sys_inputs={"contract": _printed(content, acceptances)},
        format="png",
        ppi=ppi,
    )
    # One page comes back as bytes, several as a list of them.
    return [made] if isinstance(made, bytes) else [*made]


def render_certificate(content: Mapping[str, Any], *, fingerprint: str, address: str, qr: str) -> bytes:
    """登记凭证打印本. A registration certificate as PDF/A-2b, Chinese with English beneath. About 0.2 s.

    fingerprint: SHA-256 (hex) of the content. address: where anybody checks it. qr: the same as an SVG
    picture. Raises SlowInsideUnit while a Unit is open.
    """
    slow("pdf")
    inputs = {"content": dict(content), "hash": fingerprint, "address": address, "qr": qr}
    root = ROOT.parent / "certificates"
    made = typst.compile(
        root / "registration.typ",
        root=root,
        font_paths=[_FONTS],
        ignore_system_fonts=True,
        sys_inputs={"certificate": json.dumps(inputs, ensure_ascii=False)},
        pdf_standards=["a-2b"],
    )
    return bytes(made)


def _printed(content: Mapping[str, Any], acceptances: Sequence[Mapping[str, str]]) -> str:
    languages = sorted(LANGS, key=lambda lang: lang != content["prevails"])
    return json.dumps(
        {
            "number": content["number"],
            "dated": content["dated"],
            "hash": content_hash(content),
            "texts": [{"lang": lang} | content["text"][lang] for lang in languages],
            "acceptances": [{**a, "at": _moment(a["at"])} for a in acceptances],
        },
        ensure_ascii=False,
    )


def _moment(at: str) -> str:
    # Contracts state the time of day in China, which has one zone and no summer time.
    return (
        datetime.fromisoformat(at).astimezone(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m-%d %H:%M:%S UTC+8")
    )
