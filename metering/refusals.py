"""拒绝计数 How often a credential asked for what it may not have: counted in memory, written each second."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from metering.afterwards import Notebook
from metering.tables import RefusalHour
from metering.upserts import add_up
from storage.kernel import clock

_Name = tuple[str, datetime]


class RefusalCounter(Notebook[_Name, int, list[dict[str, Any]]]):
    """拒绝计数. The refusals by credential and hour."""

    def count(self, credential_id: str) -> None:
        """One refusal of this credential."""
        self.note((credential_id, clock.hour_of(clock.now())), 1)

    def added(self, before: int, value: int) -> int:
        return before + value

    def entries(self, waiting: Sequence[tuple[_Name, int]]) -> list[dict[str, Any]]:
        return [
            {"credential_id": credential_id, "hour": hour, "refusals": refusals}
            for (credential_id, hour), refusals in sorted(waiting)
        ]

    def write(self, connection: Connection, entries: list[dict[str, Any]]) -> None:
        add_up(connection, RefusalHour, entries)
