"""Do one queued run, outside any Unit: fetch, start the child, store what it made, finish."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

import market
from market.refinery import actions
from market.refinery.problems import CastFailed, NothingLeft, RecipeFailed, RunCrashed, RunTooLong
from market.refinery.tables import Run
from storage.kernel.problem import Fault, Invalid, Problem
from storage.kernel.words import Words
from storage.objects import Objects
from storage.tabular.kinds import Limits
from storage.tabular.problems import UnreadableFile
from storage.unit import Store, slow

log = structlog.get_logger(__name__)
ACTOR = "system:refinery"
_OURS: tuple[type[Problem], ...] = (CastFailed, NothingLeft, RecipeFailed, *UnreadableFile.__subclasses__())
_REFUSALS: dict[str, type[Problem]] = {kind.slug(): kind for kind in _OURS}
_SAID = 4000  # characters of a crashed child's last words worth logging
_ROOT = Path(market.__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Workshop:
    """清洗车间. Where runs work (`folder`, None for the system's) and the salt of keyed hashes."""

    salt: bytes
    limits: Limits = field(default_factory=Limits)
    folder: Path | None = None


def cleanse(
    store: Store,
    objects: Objects,
    run_id: str,
    workshop: Workshop,
    *,
    started: Callable[[int], None] = lambda _pid: None,
) -> Run:
    """清洗. Do a queued run to its end and return it: succeeded, failed, or queued again after a crash.

    `started` is told the child's process id. Raises RunNotFound, WrongState (not queued).
    """
    slow("cleansing")
    with store.unit(ACTOR) as unit:
        run = actions.start_run(unit, run_id, seconds=workshop.limits.seconds)
    try:
        with TemporaryDirectory(prefix="shugang-run-", dir=workshop.folder) as name:
            result = _attempt(objects, run, workshop, Path(name), started)
    except Problem as problem:
        with store.unit(ACTOR) as unit:
            return actions.fail_run(unit, run_id, problem, attempt=run.attempt)
    with store.unit(ACTOR) as unit:
        return actions.finish_run(unit, run_id, result)


def _attempt(
    objects: Objects, run: Run, workshop: Workshop, folder: Path, started: Callable[[int], None]
) -> actions.Result:
    objects.fetch(run.asset_file_sha256, folder / "input")
    job = {
        "file_name": run.file_name,
        "encoding": run.encoding,
        "recipe": run.recipe,
        "indexes": run.indexes,
        "limits": asdict(workshop.limits),
        "parent": os.getpid(),
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    _spawn(folder, workshop, started)
    refusal, answer = folder / "refusal.json", folder / "result.json"
    if refusal.exists():
        raise _heard(json.loads(refusal.read_bytes()))
    made: dict[str, Any] = json.loads(answer.read_bytes())
    outputs = []
    for output in made["outputs"]:
        stored = objects.put_file(folder / output["name"])
        outputs.append({**output, "sha256": stored.sha256, "size": stored.size})
    return actions.Result(
        attempt=run.attempt,
        input_rows=made["input_rows"],
        output_rows=made["output_rows"],
        dropped=tuple(made["dropped"]),
        outputs=tuple(outputs),
        columns=tuple(made["columns"]),
        profile=made["profile"],
        engine=made["engine"],
    )


def _heard(told: dict[str, Any]) -> Problem:
    """The refusal the child wrote. Raises KeyError for one it cannot have."""
    if told["slug"] == Invalid.slug():
        errors = told["members"]["errors"]
        return Invalid(*(Fault(e["field"], e["rule"], Words(**e["message"])) for e in errors))
    detail = Words(**told["detail"]) if told["detail"] else None
    return _REFUSALS[told["slug"]](detail, **told["members"])


def _spawn(folder: Path, workshop: Workshop, started: Callable[[int], None]) -> None:
    """Run the child to its end. Raises RunTooLong, RunCrashed."""
    child = subprocess.Popen(  # noqa: S603  # our own module, no shell, no word from outside
        [sys.executable, "-m", "market.refinery.child", str(folder)],
        cwd=folder,
        env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(_ROOT), "TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    started(child.pid)
    try:
        _, said = child.communicate(workshop.salt.hex().encode(), timeout=workshop.limits.seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        limit = workshop.limits.seconds
        raise RunTooLong(Words(f"超过 {limit} 秒。", f"More than {limit} seconds."), seconds=limit) from None
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
    if child.returncode not in {0, 2}:
        code = child.returncode
        log.error("refinery.crashed", exit_code=code, said=said.decode(errors="replace")[-_SAID:])
        raise RunCrashed(Words(f"进程退出码 {code}。", f"The process ended with {code}."), exit_code=code)
