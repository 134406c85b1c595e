"""盯量 What the clock notices about usage: limits nearly used up are told to the buyer's people."""

from contracts.queries import one_license
from market.identity import actions as people
from market.identity.queries import members_with
from market.identity.rules import Permission
from metering import thresholds
from metering.thresholds import Reached
from metering.words import LimitUnit
from storage.kernel import money
from storage.unit import Unit


def tell_steps(unit: Unit, license_id: str) -> list[Reached]:
    """用量提醒. Record every step newly reached, and mail the highest of each limit to who reads usage there.

    Raises LicenseNotFound for a gate without a license.
    """
    reached = thresholds.note_steps(unit, license_id)
    highest = {each.limit.unit: each for each in sorted(reached, key=lambda each: each.step)}
    if not highest:
        return reached
    held = one_license(unit, license_id)
    for user in members_with(unit, held.buyer_id, Permission.USAGE_READ):
        for each in highest.values():
            data = {"path": f"/licenses/{license_id}", "number": held.number, "step": each.step}
            words = each.limit.unit.words
            figures = {"used": _shown(each, each.limit.used), "most": _shown(each, each.limit.most or 0)}
            people.send_mail(
                unit, user, "usage_threshold", data | figures | {"zh": words.zh, "en": words.en.lower()}
            )
    return reached


def _shown(reached: Reached, count: int) -> str:
    return f"¥{money.yuan(count)}" if reached.limit.unit is LimitUnit.SPEND else f"{count:,}"
