"""恢复后 After a restore every gate stays shut until the books agree; then those of active licenses open again."""

from contracts.queries import licenses_in_force
from contracts.rules import LicenseState
from metering import actions as metering
from metering.queries import gates
from storage.unit import Unit

RESTORED = "restored"  # the reason a caller is shown while the market is being checked


def shut_after_restore(unit: Unit, *, taken_at: str, tables: int) -> int:
    """恢复后关闸. Shut every open gate; belongs into the commit that brings the tables back. Returns how many.

    taken_at: when the backup was taken (ISO 8601); tables: how many were read back.
    """
    shut = metering.shut_all_gates(unit, reason=RESTORED)
    unit.record("backup.restored", "backup:restored", taken_at=taken_at, tables=tables, shut=shut)
    return shut


def reopen_after_restore(unit: Unit) -> list[str]:
    """对账后复闸. Open the gates a restore shut whose license is active; call once nothing differs.

    Returns the licenses. A gate whose license has ended stays shut.
    """
    active = {row.id for row in licenses_in_force(unit) if row.state is LicenseState.ACTIVE}
    reopened = [row.license_id for row in gates(unit, shut_for=RESTORED) if row.license_id in active]
    for license_id in reopened:
        metering.reopen_gate(unit, license_id)
    return reopened
