"""Compares what the clients were answered with what the books hold; every difference is a fault, in words."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from metering.gate import event_id
from tests.faults.world import Books, World

REVOCATION_SECONDS = 0.2
_TOLD_MOST = 5


@dataclass(frozen=True, slots=True)
class Note:
    """One request as its client saw it. Times are monotonic ns; outcome: 200, cut, lost, away or status:problem."""

    sent: int
    told: int
    port: int
    license: str
    key: str
    rows: int
    outcome: str
    charge: str
    duplicate: str

    @property
    def id(self) -> bytes:
        return event_id(self.license, self.key)

    @property
    def served(self) -> bool:
        """A 2xx came, whole or cut: its charge must be durable."""
        return self.outcome in {"200", "cut"}

    @property
    def untold(self) -> bool:
        return self.outcome in {"lost", "cut"} or self.outcome.endswith(":outcome-unknown")


def read_notes(paths: Iterable[Path]) -> list[Note]:
    """Every request of every client."""
    found = []
    for path in paths:
        for line in path.read_text(encoding="ascii").splitlines():
            sent, told, port, license_id, key, rows, outcome, charge, duplicate = line.split(" ")
            found.append(
                Note(int(sent), int(told), int(port), license_id, key, int(rows), outcome, charge, duplicate)
            )
    return found


@dataclass
class Verdict:
    """The counts that are printed, and the faults: none in a till that is in order."""

    acknowledged: int = 0
    recorded: int = 0
    untold: int = 0
    untold_recorded: int = 0
    again: int = 0
    duplicates: int = 0
    over: int = 0
    after: int = 0
    at_the_edge: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def differ(self, what: str, found: Iterable[object]) -> int:
        """Note a fault for each of `found`; a few of them in words."""
        listed = list(found)
        if listed:
            self.faults.append(f"{what}: {len(listed)}, e.g. {listed[:_TOLD_MOST]}")
        return len(listed)


def judge(notes: list[Note], world: World, *, calm: bool = False) -> Verdict:
    """The set equality, the sums and the revocations. calm: nothing was broken on purpose, so no 5xx may be."""
    books, verdict = world.books(), Verdict()
    by_event: dict[bytes, list[Note]] = defaultdict(list)
    for note in notes:
        by_event[note.id].append(note)
    _sets(verdict, books, by_event)
    _sums(verdict, books)
    _answers(verdict, by_event, books)
    verdict.after = verdict.differ(
        "served after its revocation was answered",
        [n for n in notes if n.served and n.sent > world.revoked.get(n.license, n.sent)],
    )
    slow = [seconds for seconds in world.seconds if seconds > REVOCATION_SECONDS]
    if not calm or len(slow) * 2 > len(world.seconds):  # of the few of a drill, one may meet a busy machine
        verdict.differ("revocations that took too long (s)", slow)
    verdict.outcomes.update(note.outcome for note in notes)
    if calm:
        verdict.differ("failed although nothing was broken", [n for n in notes if _failed(n)])
    return verdict


def _failed(note: Note) -> bool:
    return note.outcome.startswith("5") or note.outcome in {"lost", "cut"}


def _sets(verdict: Verdict, books: Books, by_event: dict[bytes, list[Note]]) -> None:
    served = {id_ for id_, notes in by_event.items() if any(note.served for note in notes)}
    acknowledged = {id_ for id_, notes in by_event.items() if any(n.outcome == "200" for n in notes)}
    untold = {id_ for id_, notes in by_event.items() if any(n.untold for n in notes)} - acknowledged
    recorded = set(books.events)
    verdict.acknowledged, verdict.recorded = len(acknowledged), len(recorded)
    verdict.untold, verdict.untold_recorded = len(untold), len(untold & recorded)
    verdict.duplicates = books.events_in_all - len(recorded)
    verdict.differ("acknowledged and not recorded", (id_.hex() for id_ in served - recorded))
    verdict.differ(
        "recorded although every answer refused it",
        ((id_.hex(), [n.outcome for n in by_event[id_]]) for id_ in recorded - acknowledged - untold),
    )
    verdict.differ("recorded twice", range(verdict.duplicates))


def _sums(verdict: Verdict, books: Books) -> None:
    differing, over = [], []
    for license_id, (gate, events, hours) in books.sums.items():
        if not gate == events == hours:
            differing.append((license_id, gate, events, hours))
        for used, limit in zip(gate, books.limits[license_id], strict=True):
            if limit is not None:
                verdict.at_the_edge += used == limit
                if used > limit:
                    over.append((license_id, used, limit))
    verdict.differ("gate, events and hours do not agree", differing)
    verdict.over = verdict.differ("over its limit", over)


def _answers(verdict: Verdict, by_event: dict[bytes, list[Note]], books: Books) -> None:
    """One receipt per key, for what was asked first; another request under the key is refused."""
    charged_twice, wrong, stuck = [], [], []
    for id_, notes in by_event.items():
        first = notes[0].rows
        served = [note for note in notes if note.served]
        verdict.again += sum(note.duplicate == "again" for note in served)
        if sum(note.duplicate == "first" for note in served) > 1:
            charged_twice.append(id_.hex())
        rows = books.events.get(id_, first)
        wrong += [
            (n.key, n.rows, n.outcome) for n in served if n.charge != f"chg_{id_.hex()}" or n.rows != rows
        ]
        attempts = [note for note in notes if note.rows == rows]
        if len(attempts) > 10 and all(n.untold or n.outcome.startswith("5") for n in attempts):
            stuck.append((id_.hex(), attempts[-1].outcome))
    verdict.differ("charged twice by its answers", charged_twice)
    verdict.differ("served under a key of something else", wrong)
    verdict.differ("never told although asked again and again", stuck)
