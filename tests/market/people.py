"""The people of the market's tests: one organization of each kind, each with its usual roles."""

from market.identity.rules import Actor, OrgKind, Role

PROVIDER = Actor(
    "usr_provider",
    "pty_company",
    frozenset({Role.OPERATOR, Role.PROVIDER}),
    OrgKind.STATE_DATA_COMPANY,
    party_verified=True,
)
OTHER_PROVIDER = Actor(
    "usr_other", "pty_dealer", frozenset({Role.DEALER}), OrgKind.DEALER, party_verified=True
)
DEPARTMENT = Actor(
    "usr_clerk", "pty_bureau", frozenset({Role.PROVIDER}), OrgKind.DEPARTMENT, party_verified=True
)
REGISTRAR = Actor(
    "usr_registrar", "pty_registrar", frozenset({Role.REGISTRAR}), OrgKind.REGISTRAR, party_verified=True
)
APPROVER = Actor(
    "usr_approver",
    "pty_operator",
    frozenset({Role.APPROVER}),
    OrgKind.MARKET_OPERATOR,
    second_factor=True,
    party_verified=True,
)
SECOND_APPROVER = Actor(
    "usr_approver2",
    "pty_operator",
    frozenset({Role.APPROVER}),
    OrgKind.MARKET_OPERATOR,
    second_factor=True,
    party_verified=True,
)
COMPLIANCE = Actor(
    "usr_compliance",
    "pty_operator",
    frozenset({Role.COMPLIANCE}),
    OrgKind.MARKET_OPERATOR,
    party_verified=True,
)
AUDITOR = Actor(
    "usr_auditor", "pty_operator", frozenset({Role.AUDITOR}), OrgKind.MARKET_OPERATOR, party_verified=True
)
BUYER = Actor("usr_buyer", "pty_buyer", frozenset({Role.BUYER}), OrgKind.ENTERPRISE, party_verified=True)
MANDATOR = Actor(
    "usr_mandator", "pty_data_bureau", frozenset({Role.MANDATOR}), OrgKind.DATA_BUREAU, party_verified=True
)
