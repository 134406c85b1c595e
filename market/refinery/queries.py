"""Reads of the refinery: runs, what waits, what was lost, where things come from."""

from collections.abc import Sequence

from sqlmodel import col, select

from market.refinery.problems import RunNotFound
from market.refinery.rules import RunState
from market.refinery.tables import LineageEdge, Run
from storage.kernel import clock
from storage.unit import View


def run(view: View, run_id: str, *, org: str | None = None) -> Run:
    """One run; with `org`, only that organization's. Raises RunNotFound."""
    found = view.session.get(Run, run_id)
    if found is None or (org is not None and found.org != org):
        raise RunNotFound(run=run_id)
    return found


def runs_of(view: View, asset_id: str) -> Sequence[Run]:
    """The runs of an asset, the latest first."""
    return view.session.exec(select(Run).where(Run.asset_id == asset_id).order_by(col(Run.id).desc())).all()


def queued_runs(view: View, limit: int = 20) -> Sequence[Run]:
    """What waits to be run, the longest waiting first."""
    query = select(Run).where(Run.state == RunState.QUEUED).order_by(col(Run.id)).limit(limit)
    return view.session.exec(query).all()


def running_runs(view: View) -> list[Run]:
    """进行中的清洗. Runs some process is at work on, or was when it died."""
    return list(
        view.session.exec(select(Run).where(Run.state == RunState.RUNNING).order_by(col(Run.id))).all()
    )


def stale_runs(view: View) -> Sequence[Run]:
    """Runs in progress whose lease has passed: their process is gone."""
    query = select(Run).where(Run.state == RunState.RUNNING, col(Run.lease_until) < clock.now())
    return view.session.exec(query.order_by(col(Run.id))).all()


def sources_of(view: View, sha256: str) -> Sequence[LineageEdge]:
    """What the content with this hash was made from."""
    return view.session.exec(select(LineageEdge).where(LineageEdge.to_hash == sha256)).all()


def made_from(view: View, asset_id: str) -> Sequence[LineageEdge]:
    """What was made from an asset."""
    query = select(LineageEdge).where(LineageEdge.from_id == asset_id).order_by(col(LineageEdge.id))
    return view.session.exec(query).all()
