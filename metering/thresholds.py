"""用量提醒 Told once at 50, 80 and 100 % of each limit: worked out from the gates by the clock, never by the till."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import col, select

from metering import turns
from metering.limits import STEPS, Limit, limits_of
from metering.tables import Gate, UsageStep
from storage.kernel import clock
from storage.unit import Unit, View


@dataclass(frozen=True, slots=True)
class Reached:
    """达到提醒线. One step of one limit that was reached and not told before."""

    license_id: str
    buyer_id: str
    limit: Limit
    step: int  # percent


def licenses_with_new_steps(view: View) -> list[str]:
    """待提醒许可. Licenses in force that reached a step nobody was told of yet, in order."""
    pairs = (
        (Gate.used_calls, Gate.limit_calls),
        (Gate.used_rows, Gate.limit_rows),
        (Gate.used_bytes, Gate.limit_bytes),
        (Gate.used_downloads, Gate.limit_downloads),
        (Gate.spent_fen, Gate.spend_cap_fen),
    )
    near = sa.or_(*(sa.and_(col(most) > 0, col(used) * 100 >= col(most) * STEPS[0]) for used, most in pairs))
    gates = view.session.exec(select(Gate).where(col(Gate.in_force), near).order_by(Gate.license_id)).all()
    told = {
        (row.license_id, row.unit, row.most, row.step)
        for row in view.session.exec(
            select(UsageStep).where(
                col(UsageStep.license_id).in_(sa.select(col(Gate.license_id)).where(col(Gate.in_force), near))
            )
        )
    }
    return [
        gate.license_id
        for gate in gates
        if any((gate.license_id, each.unit, each.most, step) not in told for each, step in _reached(gate))
    ]


def note_steps(unit: Unit, license_id: str) -> list[Reached]:
    """记录用量提醒. Record each newly reached step once per license, limit, step and size of the limit.

    A limit that was raised is another one: its steps may come again. Two workers at once: one records.
    """
    turns.take_turn(unit, turns.STEPS)
    gate = unit.session.get(Gate, license_id)
    if gate is None:
        return []
    rows = unit.session.exec(select(UsageStep).where(UsageStep.license_id == license_id)).all()
    told = {(row.unit, row.most, row.step) for row in rows}
    found = []
    for limit, step in _reached(gate):
        assert limit.most is not None
        if (limit.unit, limit.most, step) in told:
            continue
        unit.session.add(
            UsageStep(
                license_id=license_id, unit=limit.unit, step=step, most=limit.most, noted_at=clock.now()
            )
        )
        unit.record(
            "usage.threshold",
            f"license:{license_id}",
            limit=str(limit.unit),
            step=step,
            used=limit.used,
            most=limit.most,
        )
        found.append(Reached(license_id, gate.buyer_id, limit, step))
    return found


def _reached(gate: Gate) -> list[tuple[Limit, int]]:
    return [(limit, step) for limit in limits_of(gate) for step in STEPS if limit.percent >= step]
