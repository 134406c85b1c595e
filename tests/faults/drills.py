"""One short drill that a till in order passes without a fault, and none of the planted bugs does."""

import time
from pathlib import Path

from tests.faults.fleet import Crowds, Fleet, Launcher
from tests.faults.moments import Point
from tests.faults.verdict import judge, read_notes
from tests.faults.world import World


def drill(launcher: Launcher, url: str, folder: Path, bug: str | None) -> list[str]:
    """The faults found: two gateways in calm with repeated keys and revocations, then one killed before commits."""
    world, notes = World(url, folder), list[Path]()
    names = [
        world.license(limit_calls=200),
        world.license(limit_rows=301),
        world.license(spend_cap_fen=1_000),
    ]
    doomed = [world.license() for _ in range(3)]
    fleet = Fleet(launcher, world, 2, bug=bug)
    try:
        with Crowds(fleet, [world.license(), *names, *doomed], notes, seed=1, size=32) as crowds:
            _patiently(crowds, 600)
            for license_id in doomed:
                world.revoke(license_id, timed=True)
                time.sleep(0.1)
        verdict = judge(read_notes(notes), world, calm=True)
        if not verdict.faults:
            with Crowds(fleet, [world.license()], notes, seed=2, size=32) as crowds:
                for _kill in range(3):
                    _kill_before_commit(fleet)
                _patiently(crowds, 100)
            verdict = judge(read_notes(notes), world)
    finally:
        fleet.close()
        world.close()
    return verdict.faults


def _patiently(crowds: Crowds, acknowledged: int) -> None:
    """Wait for so many answers, but not for ever: a bug may let none through."""
    deadline = time.monotonic() + 6
    while crowds.acknowledged < acknowledged and time.monotonic() < deadline:
        time.sleep(0.05)


def _kill_before_commit(fleet: Fleet) -> None:
    victim = fleet.gateways[0]
    victim.end()
    victim.start(Point.BEFORE_COMMIT, 10)
    deadline = time.monotonic() + 6
    while not victim.dead and time.monotonic() < deadline:
        time.sleep(0.01)
    victim.end()
    victim.start()
    victim.ready()
