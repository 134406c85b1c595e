"""The crash run in short: a few kills at each point on both databases, and one planted bug to see that it sees.

The whole one, with every ordeal and all five bugs, is `make faults`.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests import servers
from tests.faults.clusters import own_cluster
from tests.faults.drills import drill
from tests.faults.fleet import Launcher
from tests.faults.ordeals import POINTS, Ordeal
from tests.faults.verdict import judge, read_notes
from tests.faults.world import World


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """On a disk, where the other tests may keep theirs in memory."""
    with TemporaryDirectory(prefix="shugang-crashes-", dir=servers.DISK) as folder:
        yield Path(folder)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """A durable database: the others of these tests do not wait for the disk."""
    if request.param == "sqlite":
        yield f"sqlite:///{folder}/market.db"
        return
    with own_cluster() as cluster:
        yield cluster.database()


def test_a_few_kills(launcher: Launcher, url: str, folder: Path) -> None:
    world = World(url, folder)
    ordeal = Ordeal(launcher, world, seed=1)
    ordeal.killing(2, kills=10, acknowledged=1000, edge=40)
    verdict = judge(read_notes(ordeal.notes), world)
    world.close()
    assert verdict.faults == []
    assert verdict.acknowledged >= 1000
    assert verdict.again
    assert sum(ordeal.kills[point] for point in POINTS) >= 4, ordeal.kills


def test_a_planted_bug_is_caught(launcher: Launcher, folder: Path) -> None:
    """Without the look-up a repeated key counts twice against the quota."""
    assert drill(launcher, f"sqlite:///{folder}/market.db", folder, "no dedup")
