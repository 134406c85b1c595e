"""What is done to the gateways of a world while crowds ask them, one ordeal after another."""

import random
import signal
import time
from pathlib import Path

from tests.faults.clusters import Cluster
from tests.faults.commit_proxy import CommitProxy
from tests.faults.fleet import Crowds, Fleet, Gateway, Launcher
from tests.faults.moments import Point
from tests.faults.wire import eventually
from tests.faults.world import World

POINTS = (Point.BEFORE_COMMIT, Point.IN_COMMIT, Point.AFTER_COMMIT, Point.MID_BODY)
LONGEST_SECONDS = 900  # of one stage of kills: then something is stuck


def licenses(world: World, plenty: int, edge: int) -> list[str]:
    """Some without limits, and three with an edge: of calls, of rows, of money."""
    free = [world.license() for _ in range(plenty)]
    return [
        *free,
        world.license(limit_calls=edge),
        world.license(limit_rows=3 * edge + 1, limit_bytes=10**9),
        world.license(spend_cap_fen=9 * edge + 2),
    ]


class Ordeal:
    """One world's run. Every ordeal adds to `notes` (files of the clients) and to the counts."""

    def __init__(self, launcher: Launcher, world: World, seed: int) -> None:
        self.launcher, self.world = launcher, world
        self.dice = random.Random(seed)
        self.notes: list[Path] = []
        self.acknowledged = 0
        self.kills = dict.fromkeys(Point, 0)
        self.idle_kills = 0
        self.stops = 0
        self._seed = seed

    def crowds(self, fleet: Fleet, names: list[str], *, size: int = 48, folder: Path | None = None) -> Crowds:
        """Two processes of clients that ask all of the fleet for these licenses; notes go to `folder`."""
        self._seed += 1
        return Crowds(fleet, names, self.notes, seed=self._seed, size=size, folder=folder)

    def killing(self, gateways: int, kills: int, acknowledged: int, *, edge: int = 400) -> None:
        """Kill until there were `kills` in all and as many answers; stop and go on; revoke two licenses."""
        names = licenses(self.world, 5, edge)
        doomed = [self.world.license() for _ in range(2)]
        fleet = Fleet(self.launcher, self.world, gateways)
        try:
            with self.crowds(fleet, names + doomed) as crowds:
                crowds.until(50)
                for gateway in fleet.gateways:
                    self._rearm(fleet, gateway)
                deadline = time.monotonic() + LONGEST_SECONDS
                while fleet.kills.total() < kills or crowds.acknowledged < acknowledged:
                    assert time.monotonic() < deadline, (fleet.kills, crowds.acknowledged)
                    self._strike(fleet, killing=fleet.kills.total() < kills)
                    if doomed and fleet.kills.total() * 3 > kills:
                        self.world.revoke(doomed.pop(), timed=False)
                for gateway in fleet.gateways:
                    gateway.ready()
                self.acknowledged += crowds.acknowledged
        finally:
            for point, number in fleet.kills.items():
                self.kills[point] += number
            self.idle_kills += fleet.idle_kills
            fleet.close()

    def _rearm(self, fleet: Fleet, gateway: Gateway) -> None:
        """Kill once from outside, so that the next life has its own end appointed."""
        gateway.signal(signal.SIGKILL)
        gateway.bury()
        gateway.start(self._rarest(fleet), self.dice.randint(10, 60))

    def _rarest(self, fleet: Fleet) -> Point:
        appointed = [gateway.due for gateway in fleet.gateways if not gateway.dead]
        return min(
            POINTS,
            key=lambda p: (self.kills[p] + fleet.kills[p] + appointed.count(p), self.dice.random()),
        )

    def _strike(self, fleet: Fleet, *, killing: bool) -> None:
        """Restart who is dead; now and then stop somebody who has work in hand, or kill them from outside."""
        for gateway in fleet.gateways:
            if gateway.dead:
                gateway.bury()
                gateway.start(self._rarest(fleet) if killing else None, self.dice.randint(5, 30))
        time.sleep(0.02)
        victim = self.dice.choice(fleet.gateways)
        if victim.dead or not victim.moment.in_flight or self.dice.random() > 0.01:
            return
        act = self.dice.choice(("stop", "stop and kill", "kill"))
        if act != "kill":
            self.stops += 1
            victim.signal(signal.SIGSTOP)
            time.sleep(self.dice.uniform(0.02, 0.4))
        if act != "stop" and killing:
            victim.signal(signal.SIGKILL)  # a stopped one perhaps holds every lock
        elif act != "kill":
            victim.signal(signal.SIGCONT)

    def revoking(self, revocations: int) -> None:
        """Revoke license after license while two gateways serve them all."""
        names = [self.world.license() for _ in range(revocations)]
        fleet = Fleet(self.launcher, self.world, 2)
        try:
            with self.crowds(fleet, names) as crowds:
                crowds.until(20 * revocations)
                for name in names:
                    self.world.revoke(name, timed=True)
                    time.sleep(0.05)
                self.acknowledged += crowds.acknowledged
        finally:
            fleet.close()

    def jumping(self) -> None:
        """Set the clock of one of two gateways an hour ahead and an hour back while both serve."""
        fleet = Fleet(self.launcher, self.world, 2)
        try:
            with self.crowds(fleet, licenses(self.world, 2, 100)) as crowds:
                for seconds in (3600, 0, -3600, 0, 90, -90):
                    before = crowds.acknowledged
                    fleet.gateways[0].moment.shift = seconds
                    crowds.until(before + 300)
                self.acknowledged += crowds.acknowledged
        finally:
            fleet.close()

    def stopping(self, cluster: Cluster) -> None:
        """Stop the database in both ways under load, and start it again."""
        fleet = Fleet(self.launcher, self.world, 2)
        try:
            with self.crowds(fleet, licenses(self.world, 2, 100)) as crowds:
                for mode in ("immediate", "fast"):
                    crowds.until(crowds.acknowledged + 300)
                    cluster.stop(mode)
                    time.sleep(0.5)
                    cluster.start()
                crowds.until(crowds.acknowledged + 300)
                self.acknowledged += crowds.acknowledged
        finally:
            fleet.close()

    def losing_replies(self, losses: int) -> CommitProxy:
        """Drop the reply to COMMIT, or the COMMIT, or let it arrive late, under load from two gateways."""
        proxy = CommitProxy(self.world.url)
        fleet = Fleet(self.launcher, self.world, 2, url=proxy.url(self.world.url))
        try:
            with self.crowds(fleet, licenses(self.world, 2, 100)) as crowds:
                crowds.until(200)
                proxy.share = 0.1
                eventually(lambda: proxy.lost.total() >= losses, 90)
                proxy.share = 0.0
                crowds.until(crowds.acknowledged + 200)
                self.acknowledged += crowds.acknowledged
        finally:
            fleet.close()
            proxy.close()
        return proxy
