"""查验 What a registration was worth at a moment, for anybody who has its number."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select

from market.registry.certificate_face import Lines, face_lines
from market.registry.certificates import DISCLAIMER
from market.registry.life import Standing, Step, standing_at
from market.registry.queries import by_number, steps_of
from market.registry.rules import base_number, renewed_number
from market.registry.tables import Certificate, RegistrationStep
from storage.unit import View


@dataclass(frozen=True, slots=True)
class Verified:
    """查验结果. Public fields only; `lines` is empty before the first registration."""

    number: str  # as it is called now
    asked: str
    at: datetime
    standing: Standing
    valid_until: datetime | None
    lines: Lines
    steps: Sequence[RegistrationStep]
    certificate: Certificate | None

    @property
    def renewed(self) -> bool:
        """Whether the number that was asked for has been renewed since."""
        return base_number(self.asked)[1] is not None and self.asked != self.number

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        held = self.certificate
        return {
            "number": self.number,
            "asked": self.asked,
            "at": self.at.isoformat(),
            "status": {"code": str(self.standing), **self.standing.words.both()},
            "valid_until": self.valid_until.isoformat() if self.valid_until else None,
            "fields": [{"label": label.both(), "value": value.both()} for label, value in self.lines],
            "certificate": {
                "serial": held.serial,
                "number": held.number,
                "content_hash": held.content_hash,
                "issued_at": held.issued_at.isoformat(),
            }
            if held
            else None,
            "history": [
                {
                    "kind": str(step.kind),
                    **step.kind.words.both(),
                    "at": step.at.isoformat(),
                    "valid_until": step.valid_until.isoformat(),
                }
                for step in self.steps
            ],
            "disclaimer": DISCLAIMER.both(),
        }


def verified(view: View, number: str, at: datetime) -> Verified:
    """查验. The standing at `at` and the certificate that held then. Raises Invalid before any look-up, NotFound."""
    asset = by_number(view, number)
    rows = [row for row in steps_of(view, asset.id) if row.at <= at]
    standing, step = standing_at([Step(row.kind, row.at, row.valid_until, row.serial) for row in rows], at)
    held = None
    if step is not None:
        query = select(Certificate).where(Certificate.asset_id == asset.id, Certificate.serial <= step.serial)
        held = view.session.exec(query.order_by(sa.desc(col(Certificate.serial))).limit(1)).first()
    assert asset.number is not None
    return Verified(
        number=renewed_number(asset.number, asset.renewals),
        asked=number,
        at=at,
        standing=standing,
        valid_until=step.valid_until if step else None,
        lines=face_lines(held.content) if held else [],
        steps=rows,
        certificate=held,
    )
