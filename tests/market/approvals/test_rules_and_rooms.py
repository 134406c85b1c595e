"""The automatic rules ask for facts the rooms state, with values those facts can have."""

import pytest

from contracts.terms import Purpose, Tier
from market.approvals.rules import AUTO_RULES, AutoRule
from market.casework import MATTERS
from market.policy.inputs import OpenAttr
from market.registry.rules import AssetState

VALUES = {
    "purpose": {str(each) for each in Purpose},
    "tier": {str(each) for each in Tier},
    "open_attr": {str(each) for each in OpenAttr},
    "asset_state": {str(each) for each in AssetState},
}


@pytest.mark.parametrize("rule", AUTO_RULES, ids=lambda rule: rule.code)
def test_a_rule_asks_for_what_its_room_says(rule: AutoRule) -> None:
    assert set(rule.wants) <= set(MATTERS[rule.kind].facts)
    for name, fine in rule.wants.items():
        known = VALUES.get(name, {True, False})
        assert set(fine) <= known, f"{name} is never {set(fine) - known}"
