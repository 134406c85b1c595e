"""The README's tutorial, run as it stands: every curl block against a fresh demo market."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import ROOT, live_server


def blocks(text: str) -> list[str]:
    """The bash blocks of the ten minutes."""
    chapter = text.split("## Ten minutes with it", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```bash\n(.*?)```", chapter, re.DOTALL)


def test_the_tutorial_does_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = "\n".join(blocks((ROOT / "README.md").read_text(encoding="utf-8")))
    assert script.count("curl") >= 10
    work = tmp_path / "work"
    work.mkdir()
    with live_server(tmp_path / "data", DEMO="true") as server:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=work,
            env={
                "PATH": os.environ["PATH"],
                "BASE": server.url,
                "no_proxy": "127.0.0.1",
                "HOME": str(work),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "法定节假日与调休安排 1096 公共数据无条件开放许可" in ran.stdout
    assert "x-charge-id: chg_" in ran.stdout.lower()
    assert "sha256 equal: True" in ran.stdout
    assert '"spent_fen":50002' in ran.stdout.replace(" ", "")
    assert "SQ-" in ran.stdout
    assert "download 800.00" in ran.stdout
    assert "命中负面清单 FM-0005" in ran.stdout
    verified = subprocess.run(
        [sys.executable, "-m", "market.cli", "verify", "statement", work / "statement.json",
         "--keys", work / "keys.json"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "对账单真实无误" in verified.stdout
    assert (work / "holidays.csv").read_text(encoding="utf-8-sig").startswith("日期,")
