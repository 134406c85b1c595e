"""The verbs of the refinery: ask for a run, start it, finish it, fail it, put a lost one back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import select

from market.refinery import grammar as g
from market.refinery.problems import RunCrashed, RunNotFound
from market.refinery.queries import running_runs, stale_runs
from market.refinery.rules import RUN, RunState, check_early
from market.refinery.tables import LineageEdge, Run
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Problem
from storage.objects import Stored, keep
from storage.tabular.kinds import Column
from storage.unit import Unit

MAX_ATTEMPTS = 3
_GRACE_SECONDS = 60  # fetching and storing objects around the child's own time limit


@dataclass(frozen=True, slots=True)
class Result:
    """清洗结果. What one attempt made; the objects are already stored."""

    attempt: int
    input_rows: int
    output_rows: int
    dropped: tuple[int, ...]
    outputs: tuple[dict[str, Any], ...]
    columns: tuple[dict[str, Any], ...]
    profile: dict[str, Any]
    engine: str


def request_run(
    unit: Unit,
    *,
    asset_id: str,
    asset_file_sha256: str,
    file_name: str,
    recipe: g.Recipe,
    encoding: str | None = None,
    indexes: Sequence[str] = (),
    columns: Sequence[Column] | None = None,
) -> Run:
    """申请清洗. Queue a recipe for a registered file; the schema is checked again when the file is read.

    columns: as the upload was profiled; a recipe or an index that cannot fit them raises Invalid at once.

    file_name is kept for refusals only and never enters the journal.
    """
    if columns is not None:
        check_early(recipe, columns, indexes)
    run = Run(
        id=new_id("run"),
        state=RUN.start,
        asset_id=asset_id,
        asset_file_sha256=asset_file_sha256,
        file_name=file_name,
        encoding=encoding,
        recipe=recipe.document(),
        recipe_hash=recipe.hash(),
        indexes=list(indexes),
        requested_by=unit.actor,
        org=unit.org,
        requested_at=clock.now(),
    )
    unit.session.add(run)
    unit.record(
        "run.requested", f"run:{run.id}", asset=asset_id, file=asset_file_sha256, recipe=run.recipe_hash
    )
    return run


def start_run(unit: Unit, run_id: str, *, seconds: int) -> Run:
    """开始清洗. Take a queued run for at most `seconds`. Raises RunNotFound, WrongState."""
    run = _locked(unit, run_id)
    run.state = RUN.after(run.state, "start")
    run.attempt += 1
    run.started_at = clock.now()
    run.lease_until = run.started_at + timedelta(seconds=seconds + _GRACE_SECONDS)
    run.problem = None
    unit.session.add(run)
    unit.record("run.started", f"run:{run.id}", attempt=run.attempt)
    return run


def finish_run(unit: Unit, run_id: str, result: Result) -> Run:
    """完成清洗. Keep what an attempt made, with its lineage.

    The same answer twice, or a late one of a lost attempt, changes nothing. Raises RunNotFound.
    """
    run = _locked(unit, run_id)
    if run.state is not RunState.RUNNING or run.attempt != result.attempt:
        return run
    run.state = RUN.after(run.state, "finish")
    run.finished_at = clock.now()
    run.lease_until = None
    run.input_rows, run.output_rows = result.input_rows, result.output_rows
    run.dropped, run.outputs = list(result.dropped), list(result.outputs)
    run.schema_, run.profile, run.engine = list(result.columns), result.profile, result.engine
    unit.session.add(run)
    for made in result.outputs:
        keep(unit, Stored(made["sha256"], made["size"]))
        unit.session.add(
            LineageEdge(
                id=new_id("lin"),
                run_id=run.id,
                from_kind="asset",
                from_id=run.asset_id,
                from_hash=run.asset_file_sha256,
                to_kind=f"run.{made['kind']}",
                to_id=run.id,
                to_hash=made["sha256"],
            )
        )
    hashes = {made["kind"]: made["sha256"] for made in result.outputs}
    unit.record("run.succeeded", f"run:{run.id}", rows=result.output_rows, attempt=run.attempt, **hashes)
    return run


def fail_run(unit: Unit, run_id: str, problem: Problem, *, attempt: int | None = None) -> Run:
    """清洗失败. Keep why; a crash is queued again until it has been tried three times.

    A late answer of a lost attempt changes nothing. Raises RunNotFound, WrongState (already ended).
    """
    run = _locked(unit, run_id)
    if attempt is not None and (run.state is not RunState.RUNNING or run.attempt != attempt):
        return run
    run.problem = problem.document()
    run.lease_until = None
    if isinstance(problem, RunCrashed) and run.state is RunState.RUNNING and run.attempt < MAX_ATTEMPTS:
        run.state = RUN.after(run.state, "requeue")
        unit.record("run.requeued", f"run:{run.id}", attempt=run.attempt, problem=problem.slug())
    else:
        run.state = RUN.after(run.state, "fail")
        run.finished_at = clock.now()
        unit.record("run.failed", f"run:{run.id}", attempt=run.attempt, problem=problem.slug())
    unit.session.add(run)
    return run


def retry_run(unit: Unit, run_id: str) -> Run:
    """重新清洗. Queue a failed run once more. Raises RunNotFound, WrongState."""
    run = _locked(unit, run_id)
    run.state = RUN.after(run.state, "retry")
    run.attempt, run.finished_at = run.attempt, None
    unit.session.add(run)
    unit.record("run.requeued", f"run:{run.id}", attempt=run.attempt)
    return run


def requeue_stale_runs(unit: Unit) -> list[str]:
    """找回中断的清洗. Put runs back whose process was lost with its machine. Returns their ids."""
    found = [run.id for run in stale_runs(unit)]
    for run_id in found:
        fail_run(unit, run_id, RunCrashed())
    return found


def requeue_lost_runs(unit: Unit) -> list[str]:
    """找回中断的清洗. Put every running one back, because whoever ran them is gone. Returns their ids."""
    found = [run.id for run in running_runs(unit)]
    for run_id in found:
        fail_run(unit, run_id, RunCrashed())
    return found


def _locked(unit: Unit, run_id: str) -> Run:
    run = unit.session.exec(select(Run).where(Run.id == run_id).with_for_update()).first()
    if run is None:
        raise RunNotFound(run=run_id)
    return run
