"""One short drill that a till in order passes without a fault, and none of the planted bugs does."""

import time
from pathlib import Path

from tests.faults.fleet import Crowds, Fleet, Launcher
from tests.faults.moments import Point
from tests.faults.verdict import judge, read_notes
from tests.faults.world import World

KILLS = 5
PATIENCE_SECONDS = 8  # a bug may let nothing through
ENOUGH = 600  # acknowledged in a second or two when all is well


def drill(launcher: Launcher, url: str, folder: Path, bug: str | None) -> list[str]:
    """The faults found: in calm with repeated keys and revocations, else when killed before commits."""
    world, notes = World(url, folder), list[Path]()
    try:
        acknowledged = _calm(launcher, world, notes, bug)
        if faults := judge(read_notes(notes), world, calm=True).faults:
            return faults
        if acknowledged < ENOUGH:
            return [f"only {acknowledged} acknowledged in {PATIENCE_SECONDS} s although nothing was broken"]
        world.seconds.clear()  # judged; a gateway that is killed owes no promptness
        _kills(launcher, world, notes, bug)
        return judge(read_notes(notes), world).faults
    finally:
        world.close()


def _calm(launcher: Launcher, world: World, notes: list[Path], bug: str | None) -> int:
    """Two gateways, three edges, sixteen revocations; nothing is broken on purpose. Returns how many were
    acknowledged before these."""
    edges = [
        world.license(limit_calls=200),
        world.license(limit_rows=301),
        world.license(spend_cap_fen=1_000),
    ]
    doomed = [world.license() for _ in range(16)]
    fleet = Fleet(launcher, world, 2, bug=bug)
    try:
        with Crowds(fleet, [world.license(), *edges, *doomed], notes, seed=1, size=32) as crowds:
            acknowledged = _patiently(crowds, ENOUGH)
            for license_id in doomed:
                world.revoke(license_id, timed=True)
                time.sleep(0.1)
            return acknowledged
    finally:
        fleet.close()


def _kills(launcher: Launcher, world: World, notes: list[Path], bug: str | None) -> None:
    """One gateway, so that its clients come back to it, killed before a commit again and again."""
    fleet = Fleet(launcher, world, 1, bug=bug)
    try:
        with Crowds(fleet, [world.license()], notes, seed=2, size=32) as crowds:
            _patiently(crowds, 50)
            (gateway,) = fleet.gateways
            gateway.end()
            for _kill in range(KILLS):
                gateway.start(Point.BEFORE_COMMIT, 5)
                deadline = time.monotonic() + PATIENCE_SECONDS
                while not gateway.dead and time.monotonic() < deadline:
                    time.sleep(0.01)
                gateway.end()
            gateway.start()
            gateway.ready()
    finally:
        fleet.close()


def _patiently(crowds: Crowds, acknowledged: int) -> int:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while crowds.acknowledged < acknowledged and time.monotonic() < deadline:
        time.sleep(0.05)
    return crowds.acknowledged
