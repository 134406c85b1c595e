"""The demo's people: every role once, and twice where two people must agree."""

from dataclasses import dataclass

from market.house import House
from market.identity import actions, passwords
from market.identity.queries import actor_of, memberships, user_by_login
from market.identity.rules import SECOND_FACTOR, Actor, IdType, OrgKind, PartyKind, Role
from market.identity.tables import Party
from storage.kernel.numbers import make_uscc

DOMAIN = "demo.shugang.example"
PASSWORD = "shugang-demo-2026"  # noqa: S105  # a demo exists on loopback only and says so
TOTP_SECRET = "SHUGANGDEMO234567SHUGANGDEMO2345"  # noqa: S105  # the same


@dataclass(frozen=True, slots=True)
class Org:
    """An organization of the demo; `body` are the first 17 characters of its USCC."""

    key: str
    name: str
    kind: OrgKind
    body: str


@dataclass(frozen=True, slots=True)
class Player:
    """A person of the demo."""

    login: str
    name: str
    org: str
    roles: tuple[Role, ...]

    @property
    def address(self) -> str:
        """The login."""
        return f"{self.login}@{DOMAIN}"


ORGS = (
    Org("operator", "青岛数港运营有限公司", OrgKind.MARKET_OPERATOR, "91370200MADEM0001"),
    Org("registrar", "青岛市数据登记中心", OrgKind.REGISTRAR, "12370200MBDEM0002"),
    Org("bureau", "青岛市大数据发展管理局", OrgKind.DATA_BUREAU, "11370200MBDEM0003"),
    Org("company", "青岛数据集团有限公司", OrgKind.STATE_DATA_COMPANY, "91370200MADEM0004"),
    Org("marine", "青岛市海洋发展局", OrgKind.DEPARTMENT, "11370200MBDEM0005"),
    Org("service", "青岛市行政审批服务局", OrgKind.DEPARTMENT, "11370200MBDEM0009"),
    Org("dealer", "胶州湾数据商有限公司", OrgKind.DEALER, "91370200MADEM0006"),
    Org("breeze", "海风出行科技有限公司", OrgKind.ENTERPRISE, "91370200MADEM0007"),
    Org("harbor", "前湾供应链有限公司", OrgKind.ENTERPRISE, "91370200MADEM0008"),
)
PLAYERS = (
    Player("admin", "韩管理", "operator", (Role.PLATFORM_ADMIN, Role.ORG_ADMIN)),
    Player("approver", "孙审批", "operator", (Role.APPROVER,)),
    Player("approver2", "周审批", "operator", (Role.APPROVER,)),
    Player("compliance", "吴合规", "operator", (Role.COMPLIANCE,)),
    Player("finance", "郑财务", "operator", (Role.FINANCE,)),
    Player("finance2", "王财务", "operator", (Role.FINANCE,)),
    Player("auditor", "冯审计", "operator", (Role.AUDITOR,)),
    Player("registrar", "陈登记", "registrar", (Role.REGISTRAR,)),
    Player("mandator", "褚主管", "bureau", (Role.MANDATOR,)),
    Player("provider", "卫运营", "company", (Role.OPERATOR, Role.PROVIDER, Role.ORG_ADMIN)),
    Player("marine", "蒋海洋", "marine", (Role.PROVIDER,)),
    Player("service", "何审批局", "service", (Role.PROVIDER,)),
    Player("dealer", "沈数商", "dealer", (Role.DEALER,)),
    Player("buyer", "韩买方", "breeze", (Role.BUYER, Role.ORG_ADMIN)),
    Player("buyer2", "杨买方", "harbor", (Role.BUYER, Role.ORG_ADMIN)),
)
CITIZEN = Player("citizen", "朱市民", "", (Role.CITIZEN,))


def organization(key: str) -> Org:
    """The organization of the demo under this key."""
    return next(org for org in ORGS if org.key == key)


def is_there(house: House) -> bool:
    """Whether this market has its demo already."""
    with house.store.view() as view:
        return user_by_login(view, PLAYERS[0].address) is not None


def invite(house: House) -> None:
    """Make every organization, verified, and every person, with password and second factor."""
    hashed = passwords.hash_password(PASSWORD)
    sealed = passwords.seal_totp(TOTP_SECRET, house.secret)
    with house.store.unit("system:demo") as unit:
        parties: dict[str, Party] = {}
        for org in ORGS:
            form = actions.PartyForm(
                name=org.name,
                id_number=make_uscc(org.body),
                org_kind=org.kind,
                address="山东省青岛市示例路 1 号",
                legal_representative="示例负责人",
                contact="示例联系人",
                phone="0532-00000000",
                email=f"{org.key}@{DOMAIN}",
                bank_account="示例银行青岛分行 3700 0000 0000 0001",
            )
            parties[org.key] = actions.register_party(unit, form)
            actions.verify_at_birth(unit, parties[org.key], "演示主体 demo party")
        for player in PLAYERS:
            user = actions.create_user(unit, login=player.address, name=player.name, password_hash=hashed)
            if SECOND_FACTOR & frozenset(player.roles):
                user.totp_sealed = sealed
            actions.add_member(
                unit, user.id, parties[player.org], frozenset(player.roles), invited_by="system:demo"
            )
        citizen = actions.register_party(
            unit,
            actions.PartyForm(
                name=CITIZEN.name,
                id_number="DEMO-0001",
                kind=PartyKind.PERSON,
                org_kind=None,
                id_type=IdType.OTHER,
            ),
        )
        actions.create_user(unit, login=CITIZEN.address, name=CITIZEN.name, password_hash=hashed)
        unit.record("demo.invited", f"party:{citizen.id}", players=len(PLAYERS) + 1)


def acting(house: House, login: str) -> Actor:
    """The actor a player of the demo is."""
    player = next(player for player in PLAYERS if player.login == login)
    with house.store.view() as view:
        user = user_by_login(view, player.address)
        assert user is not None
        own = memberships(view, user.id)[0][1]
        return actor_of(view, user, own.id, second_factor=True)
