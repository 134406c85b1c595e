"""The whole crash run of the till, for `make faults`: kills, stops, lost replies, full disks, wrong clocks, planted bugs.

What is lost when the power goes is not shown here: SIGKILL leaves the kernel's pages alone, so it does not prove
one fsync. That rests on `synchronous=FULL` and `synchronous_commit=on`.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.clusters import Cluster, full, own_cluster, small_disk
from tests.faults.drills import drill
from tests.faults.fleet import Fleet, Launcher
from tests.faults.moments import Point
from tests.faults.ordeals import POINTS, Ordeal, licenses
from tests.faults.planted import BUGS
from tests.faults.verdict import Verdict, judge, read_notes
from tests.faults.world import World

KILLS, EACH, ACKNOWLEDGED, REVOCATIONS = 208, 20, 100_000, 24


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with own_cluster() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cluster_or_none(kind: str, request: pytest.FixtureRequest) -> Cluster | None:
    """The database server to break, where there is one."""
    return request.getfixturevalue("cluster") if kind == "postgres" else None


def new_database(cluster: Cluster | None, folder: Path) -> str:
    """The URL of an empty database."""
    folder.mkdir(exist_ok=True)
    return cluster.database() if cluster else f"sqlite:///{folder}/market.db"


def line(kind: str, ordeal: Ordeal, verdict: Verdict) -> str:
    """What is printed of a run."""
    points = ", ".join(f"{point.words} {ordeal.kills[point]}" for point in (*POINTS, Point.ELSEWHERE))
    return (
        f"{kind}: kills {sum(ordeal.kills.values())} ({points}), acknowledged {verdict.acknowledged:,}, all recorded; "
        f"recorded {verdict.recorded:,}, of which {verdict.untold_recorded} were never told; "
        f"asked again and served free {verdict.again:,}, duplicates {verdict.duplicates}, "
        f"over quota {verdict.over}, at the very edge {verdict.at_the_edge}, after revocation {verdict.after}, "
        f"faults {len(verdict.faults)}"
    )


def test_two_hundred_kills(
    launcher: Launcher,
    kind: str,
    cluster_or_none: Cluster | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One to eight gateways; then revocations on time; then clocks, lost replies and a database that stops."""
    began, cluster = time.monotonic(), cluster_or_none
    world = World(new_database(cluster, tmp_path), tmp_path)
    ordeal = Ordeal(launcher, world, seed=20261122)
    for gateways in (1, 2, 4, 8):
        ordeal.killing(gateways, KILLS // 4, ACKNOWLEDGED * 28 // 100, edge=1500)
    ordeal.revoking(REVOCATIONS)
    ordeal.jumping()
    lost = ""
    if cluster is not None:
        lost = f", commits of whose fate nobody was told {ordeal.losing_replies(60).lost.total()}"
        ordeal.stopping(cluster)
    verdict = judge(read_notes(ordeal.notes), world)
    world.close()
    with capsys.disabled():
        print(f"\n{line(kind, ordeal, verdict)}")
        print(
            f"{kind}: SIGSTOPs {ordeal.stops}, revocations under load {len(world.seconds)} in at most "
            f"{max(world.seconds) * 1000:.0f} ms{lost}; {time.monotonic() - began:.0f} s"
        )
    assert verdict.faults == []
    assert verdict.acknowledged >= ACKNOWLEDGED
    assert sum(ordeal.kills.values()) >= 200
    assert all(ordeal.kills[point] >= EACH for point in POINTS), ordeal.kills
    assert len(world.seconds) >= 20
    assert verdict.at_the_edge


def test_planted_bugs_are_caught(
    launcher: Launcher,
    kind: str,
    cluster_or_none: Cluster | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same drill finds nothing in the till as it is, and something in each of the five that are wrong."""
    caught = {}
    for number, bug in enumerate([None, *BUGS]):
        folder = tmp_path / str(number)
        caught[bug] = drill(launcher, new_database(cluster_or_none, folder), folder, bug)
    with capsys.disabled():
        print(f"\n{kind}: planted " + ", ".join(f"{b} {'caught' if caught[b] else 'MISSED'}" for b in BUGS))
        for bug in BUGS:
            print(f"  {bug}: {caught[bug][0].split(', e.g.')[0] if caught[bug] else 'nothing seen'}")
    assert caught.pop(None) == []
    assert all(caught.values()), caught


@pytest.mark.disk
def test_a_full_disk(
    launcher: Launcher, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is served that cannot be recorded; when there is room again everything goes on."""
    beside = tmp_path / "beside"  # what the clients note is on the disk that stays
    beside.mkdir()
    with small_disk(160) as disk:
        cluster = None
        if kind == "postgres":
            (disk / "cluster").mkdir()
            cluster = Cluster(disk / "cluster")
        world = World(new_database(cluster, disk), beside)
        ordeal = Ordeal(launcher, world, seed=3)
        fleet = Fleet(launcher, world, 2)
        try:
            with ordeal.crowds(fleet, licenses(world, 3, 200)) as crowds:
                crowds.until(300)
                with full(disk):
                    time.sleep(2)
                    before = crowds.acknowledged
                    time.sleep(1)
                    during = crowds.acknowledged - before
                if cluster is not None:  # it may have ended itself: it cannot write its log
                    cluster.stop("immediate")
                    cluster.start()
                crowds.until(crowds.acknowledged + 300)
        finally:
            fleet.close()
        verdict = judge(read_notes(ordeal.notes), world)
        world.close()
        if cluster is not None:
            cluster.stop("immediate")
    refused = sum(n for outcome, n in verdict.outcomes.items() if outcome.startswith("503"))
    with capsys.disabled():
        print(
            f"\n{kind}: disk full: {refused} answered 503, {during} served in a second of it, "
            f"acknowledged {verdict.acknowledged}, all recorded, faults {len(verdict.faults)}"
        )
    assert verdict.faults == []
    assert refused
