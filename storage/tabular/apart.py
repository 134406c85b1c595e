"""Look into an uploaded file in a process of its own: whatever it holds, the server stays whole.

Started as `python -m storage.tabular.apart` with a JSON job on standard input; answers in JSON.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from storage.kernel.problem import Problem, Unavailable
from storage.kernel.words import Words
from storage.tabular.confine import confine
from storage.tabular.kinds import Encoding, Limits
from storage.tabular.problems import UnreadableFile
from storage.tabular.profile import inspect
from storage.tabular.sniffing import sniff
from storage.unit import slow

_ROOT = Path(__file__).parents[2]


class InspectionFailed(Unavailable):
    """检视失败. The process that looked into the file died; nothing was kept."""

    title = Words("文件检视未完成", "The file could not be inspected")
    remedy = Words("请拆分文件后重试，或联系平台。", "Split the file and try again, or contact the operator.")


def inspect_apart(path: Path, name: str, limits: Limits, encoding: Encoding | None = None) -> dict[str, Any]:
    """检视. Format, encoding and profile of the file at `path`: `{format, encoding, profile}`.

    name: what people call the file. Raises the UnreadableFile problems, InspectionFailed.
    """
    slow("inspection")
    job = {
        "path": str(path),
        "name": name,
        "limits": asdict(limits),
        "encoding": encoding and str(encoding),
        "parent": os.getpid(),
    }
    try:
        child = subprocess.run(  # our own module, no shell
            [sys.executable, "-m", "storage.tabular.apart"],
            input=json.dumps(job).encode(),
            capture_output=True,
            cwd=_ROOT,
            env={**os.environ, "TMPDIR": str(path.parent)},  # what a killed one leaves is swept with uploads
            timeout=limits.seconds,
            check=False,
        )
        answer: dict[str, Any] = json.loads(child.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise InspectionFailed(file=name) from error
    if "refusal" in answer:
        told = answer["refusal"]
        kinds: dict[str, type[Problem]] = {kind.slug(): kind for kind in UnreadableFile.__subclasses__()}
        raise kinds[told["slug"]](Words(**told["detail"]) if told["detail"] else None, **told["members"])
    return answer


def inspect_here(path: Path, name: str, limits: Limits, encoding: Encoding | None = None) -> dict[str, Any]:
    """检视（本进程）. The same within this process: for files we made ourselves, never for what others send.

    Raises the UnreadableFile problems.
    """
    source = sniff(path, name, encoding=encoding)
    found = inspect(path, source, limits)
    return {
        "format": str(source.format),
        "encoding": str(source.encoding or ""),
        "profile": found.document(),
    }


def _main() -> None:
    job = json.load(sys.stdin)
    limits = Limits(**job["limits"])
    confine(parent=job["parent"], memory_bytes=limits.memory_bytes)
    answer: dict[str, Any]
    try:
        encoding = Encoding(job["encoding"]) if job["encoding"] else None
        answer = inspect_here(Path(job["path"]), job["name"], limits, encoding)
    except UnreadableFile as problem:
        detail = problem.detail.both() if problem.detail else None
        answer = {"refusal": {"slug": problem.slug(), "detail": detail, "members": problem.members}}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    _main()
