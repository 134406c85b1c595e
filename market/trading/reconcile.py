"""对账 Everything that should agree across the rooms: money, counted usage, and who may be served."""

from collections.abc import Callable, Iterator

from contracts.queries import licenses_in_force
from contracts.rules import LicenseState
from contracts.terms import Tier
from market.billing.reconcile import broken_signatures
from market.billing.reconcile import differences as differences_of_money
from market.billing.rules import Difference
from market.trading.restoring import RESTORED
from metering.queries import gates, uncounted
from metering.sealing import broken_seals
from storage.unit import View

Progress = Callable[[int, int], None]


def differences(view: View, progress: Progress = lambda _done, _of: None) -> list[Difference]:
    """对账. Every difference between books, usage, gates and licenses; an empty list means all agree.

    view: a snapshot when the market runs, or charges settled in between look like differences.
    progress: called with (gates compared, gates in all).
    """
    return [
        *differences_of_money(view),
        *broken_signatures(view),
        *_usage(view, progress),
        *_seals(view),
        *_gates(view),
    ]


def _usage(view: View, progress: Progress) -> Iterator[Difference]:
    """Events ↔ hourly sums ↔ what each gate has counted."""
    rows = gates(view)
    for number, row in enumerate(rows, 1):
        for name, (expected, found) in sorted(uncounted(view, row.license_id).items()):
            yield Difference(f"usage.{name}", f"license:{row.license_id}", expected, found)
        progress(number, len(rows))


def _seals(view: View) -> Iterator[Difference]:
    """The events of each sealed hour ↔ the root in the journal."""
    for broken in broken_seals(view):
        yield Difference("usage.sealed", f"hour:{broken.hour}", broken.expected, broken.found)


def _gates(view: View) -> Iterator[Difference]:
    """A gate is open exactly when its license is active; one shut by a restore waits for this very check."""
    licenses = {row.id: row for row in licenses_in_force(view)}
    doors = {row.license_id: row for row in gates(view)}
    for license_id in sorted(licenses.keys() | doors.keys()):
        held, gate = licenses.get(license_id), doors.get(license_id)
        active = held is not None and held.state is LicenseState.ACTIVE
        subject = f"license:{license_id}"
        if gate is None:
            if held is not None and held.tier is Tier.COMMERCIAL:
                yield Difference("gate.missing", subject, "a gate", "none")
        elif gate.in_force and not active:
            yield Difference("gate.open", subject, "shut", "open")
        elif active and not gate.in_force and gate.shut_reason != RESTORED:
            yield Difference("gate.shut", subject, "open", gate.shut_reason or "shut")
