"""Roles, permissions and what each organization may hold; pure."""

import re
import secrets
import unicodedata
from dataclasses import dataclass, fields
from enum import StrEnum

from market.identity.problems import Forbidden
from storage.kernel.machine import Machine
from storage.kernel.numbers import valid_id_card, valid_uscc
from storage.kernel.problem import Fault
from storage.kernel.words import Worded, Words


class PartyKind(Worded):
    """主体类型. An organization or a natural person."""

    ORGANIZATION = "organization", "组织", "Organization"
    PERSON = "person", "自然人", "Person"


class OrgKind(Worded):
    """机构类别. What an organization is in the market; another axis than its legal form."""

    STATE_DATA_COMPANY = "state_data_company", "国资数据公司", "State data company"
    MARKET_OPERATOR = "market_operator", "平台运营方", "Market operator"
    DATA_BUREAU = "data_bureau", "数据主管部门（实施机构）", "Data bureau (mandator)"
    REGISTRAR = "registrar", "登记机构", "Registrar institution"
    DEPARTMENT = "department", "供数单位（政务部门）", "Supplier department"
    DEALER = "dealer", "数据商", "Data dealer"
    THIRD_PARTY = "third_party", "第三方专业服务机构", "Third-party service organization"
    ENTERPRISE = "enterprise", "企业", "Enterprise"


class IdType(Worded):
    """证件类型. The party block of the standard contracts."""

    USCC = "uscc", "统一社会信用代码", "Unified social credit code"
    ID_CARD = "id_card", "居民身份证", "Resident identity card"
    PASSPORT = "passport", "护照", "Passport"
    OTHER = "other", "其他", "Other"


class Verification(Worded):
    """身份核验. 数据安全法 33: both sides' identity is verified before a deal."""

    UNVERIFIED = "unverified", "未核验", "Not verified"
    PENDING = "pending", "待核验", "Waiting for the check"
    VERIFIED = "verified", "已核验", "Verified"
    REJECTED = "rejected", "未通过", "Not passed"


VERIFICATION = Machine(
    "party",
    Verification.UNVERIFIED,
    {
        (Verification.UNVERIFIED, "submit"): Verification.PENDING,
        (Verification.REJECTED, "submit"): Verification.PENDING,
        (Verification.PENDING, "verify"): Verification.VERIFIED,
        (Verification.PENDING, "reject"): Verification.REJECTED,
        (Verification.VERIFIED, "withdraw"): Verification.REJECTED,
        # The name or number that was checked is another one now: new documents, new check.
        (Verification.VERIFIED, "rename"): Verification.UNVERIFIED,
        (Verification.PENDING, "rename"): Verification.UNVERIFIED,
        (Verification.REJECTED, "rename"): Verification.UNVERIFIED,
        (Verification.UNVERIFIED, "rename"): Verification.UNVERIFIED,
    },
)


class Role(Worded):
    """角色. What a member does for an organization (domain roles, separated duties)."""

    APPROVER = "approver", "审批管理员", "Approver"
    AUDITOR = "auditor", "审计", "Auditor"
    BUYER = "buyer", "买方", "Buyer"
    CITIZEN = "citizen", "个人/公众", "Citizen"
    COMPLIANCE = "compliance", "合规审核员", "Compliance officer"
    DEALER = "dealer", "数据商", "Dealer"
    FINANCE = "finance", "财务", "Finance"
    MANDATOR = "mandator", "实施机构", "Mandator"
    OPERATOR = "operator", "运营机构", "Operator"
    ORG_ADMIN = "org_admin", "组织管理员", "Organization administrator"
    PLATFORM_ADMIN = "platform_admin", "平台管理员", "Platform administrator"
    PROVIDER = "provider", "数据提供方", "Provider"
    REGISTRAR = "registrar", "登记审核员", "Registrar"
    THIRD_PARTY = "third_party", "第三方服务", "Third-party service"


class Permission(StrEnum):
    """权限. `noun:verb`, in alphabetical order."""

    ASSET_DRAFT = "asset:draft"
    ASSET_REVIEW = "asset:review"
    CASE_ENDORSE = "case:endorse"
    CASE_RULES = "case:rules"
    CONTRACT_ACCEPT = "contract:accept"
    CREDENTIAL_KEEP = "credential:keep"
    DIRECTORY_KEEP = "directory:keep"
    INVOICE_ISSUE = "invoice:issue"
    INVOICE_READ = "invoice:read"
    JOURNAL_READ = "journal:read"
    LICENSE_SUSPEND = "license:suspend"
    LIST_APPROVE = "list:approve"
    LIST_EDIT = "list:edit"
    LISTING_APPROVE = "listing:approve"
    LISTING_PROPOSE = "listing:propose"
    MANDATE_APPROVE = "mandate:approve"
    MANDATE_GRANT = "mandate:grant"
    MANDATE_READ = "mandate:read"
    MANDATE_SIGN = "mandate:sign"
    MEMBER_INVITE = "member:invite"
    OFFER_ACCEPT = "offer:accept"
    ORDER_APPROVE = "order:approve"
    ORDER_PLACE = "order:place"
    ORDER_READ = "order:read"
    PARTY_EDIT = "party:edit"
    PARTY_VERIFY = "party:verify"
    PAYMENT_CONFIRM = "payment:confirm"
    PAYMENT_READ = "payment:read"
    PERIOD_CLOSE = "period:close"
    PRODUCT_BUILD = "product:build"
    RECORD_HOLD = "record:hold"
    REFUND_ASK = "refund:ask"
    RULES_KEEP = "rules:keep"
    SECRECY_REVIEW = "secrecy:review"
    SELF = "self:keep"
    TIER_REVIEW = "tier:review"
    USAGE_READ = "usage:read"
    USER_KEEP = "user:keep"


_SUPPLY = {
    Permission.ASSET_DRAFT,
    Permission.INVOICE_READ,
    Permission.LISTING_PROPOSE,
    Permission.OFFER_ACCEPT,
    Permission.ORDER_READ,
    Permission.PRODUCT_BUILD,
    Permission.USAGE_READ,
}
_BUY = {
    Permission.CONTRACT_ACCEPT,
    Permission.CREDENTIAL_KEEP,
    Permission.INVOICE_READ,
    Permission.ORDER_PLACE,
    Permission.ORDER_READ,
    Permission.REFUND_ASK,
    Permission.USAGE_READ,
}
GRANTS: dict[Role, frozenset[Permission]] = {
    role: frozenset({Permission.SELF, *permissions})
    for role, permissions in {
        Role.APPROVER: {
            Permission.LISTING_APPROVE,
            Permission.MANDATE_READ,
            Permission.ORDER_APPROVE,
            Permission.ORDER_READ,
        },
        Role.AUDITOR: {
            Permission.INVOICE_READ,
            Permission.JOURNAL_READ,
            Permission.MANDATE_READ,
            Permission.ORDER_READ,
            Permission.PAYMENT_READ,
            Permission.USAGE_READ,
        },
        Role.BUYER: _BUY,
        Role.CITIZEN: set[Permission](),
        Role.COMPLIANCE: {
            Permission.CASE_ENDORSE,
            Permission.LICENSE_SUSPEND,
            Permission.LIST_APPROVE,
            Permission.LIST_EDIT,
            Permission.MANDATE_APPROVE,
            Permission.MANDATE_READ,
            Permission.ORDER_READ,
            Permission.PARTY_VERIFY,
            Permission.RECORD_HOLD,
            Permission.RULES_KEEP,
            Permission.SECRECY_REVIEW,
            Permission.TIER_REVIEW,
        },
        Role.DEALER: _SUPPLY | _BUY | {Permission.MANDATE_READ, Permission.MANDATE_SIGN},
        Role.FINANCE: {
            Permission.INVOICE_ISSUE,
            Permission.INVOICE_READ,
            Permission.PAYMENT_CONFIRM,
            Permission.PAYMENT_READ,
            Permission.PERIOD_CLOSE,
        },
        Role.MANDATOR: {
            Permission.DIRECTORY_KEEP,
            Permission.LIST_APPROVE,
            Permission.LIST_EDIT,
            Permission.MANDATE_GRANT,
            Permission.MANDATE_READ,
            Permission.ORDER_READ,
        },
        Role.OPERATOR: _SUPPLY | {Permission.MANDATE_READ, Permission.MANDATE_SIGN},
        Role.ORG_ADMIN: {Permission.MEMBER_INVITE, Permission.PARTY_EDIT},
        Role.PLATFORM_ADMIN: {Permission.CASE_RULES, Permission.USER_KEEP},
        Role.PROVIDER: _SUPPLY,
        Role.REGISTRAR: {Permission.ASSET_REVIEW, Permission.DIRECTORY_KEEP},
        Role.THIRD_PARTY: set[Permission](),
    }.items()
}

# Which roles an organization of a kind may give its members: duties stay apart by construction.
ROLES_OF: dict[OrgKind, frozenset[Role]] = {
    OrgKind.STATE_DATA_COMPANY: frozenset({Role.ORG_ADMIN, Role.OPERATOR, Role.PROVIDER}),
    OrgKind.MARKET_OPERATOR: frozenset(
        {Role.ORG_ADMIN, Role.PLATFORM_ADMIN, Role.APPROVER, Role.COMPLIANCE, Role.FINANCE, Role.AUDITOR}
    ),
    OrgKind.DATA_BUREAU: frozenset({Role.ORG_ADMIN, Role.MANDATOR, Role.AUDITOR}),
    OrgKind.REGISTRAR: frozenset({Role.ORG_ADMIN, Role.REGISTRAR}),
    OrgKind.DEPARTMENT: frozenset({Role.ORG_ADMIN, Role.PROVIDER}),
    OrgKind.DEALER: frozenset({Role.ORG_ADMIN, Role.DEALER}),
    OrgKind.THIRD_PARTY: frozenset({Role.ORG_ADMIN, Role.THIRD_PARTY}),
    OrgKind.ENTERPRISE: frozenset({Role.ORG_ADMIN, Role.BUYER, Role.PROVIDER}),
}

# Who decides on other people's money and rights, also as one of two: a password is not enough.
SECOND_FACTOR = frozenset({Role.APPROVER, Role.COMPLIANCE, Role.FINANCE})
# Two roles that must never meet in one person (separation of duties).
APART = (
    frozenset({Role.APPROVER, Role.FINANCE}),
    frozenset({Role.PLATFORM_ADMIN, Role.APPROVER}),
    frozenset({Role.AUDITOR, Role.APPROVER}),
    frozenset({Role.AUDITOR, Role.FINANCE}),
    frozenset({Role.AUDITOR, Role.COMPLIANCE}),
)


@dataclass(frozen=True, slots=True)
class Actor:
    """操作者. A person (or a program) acting for one organization with its roles there."""

    id: str  # "usr_…", or "cli_…" for a program
    org: str | None = None
    roles: frozenset[Role] = frozenset()
    org_kind: OrgKind | None = None
    second_factor: bool = False
    party_verified: bool = False
    orgs: frozenset[str] = frozenset()  # every organization the person belongs to
    keeper: str | None = None  # for a program: the person who keeps its credential

    @property
    def person(self) -> str:
        """Who answers for what is done: the actor, or the person who keeps a program's credential."""
        return self.keeper or self.id

    def belongs_to(self, party_id: str | None) -> bool:
        """Whether a matter of this organization would be the actor's own, whichever one is acted for now."""
        return party_id is not None and (party_id == self.org or party_id in self.orgs)

    def may(self, permission: Permission) -> bool:
        """Whether any role held grants `permission`."""
        return any(permission in GRANTS[role] for role in self.roles)

    def require(self, permission: Permission) -> None:
        """Pass in silence or raise Forbidden naming the permission and the roles that have it."""
        if not self.may(permission):
            holders = sorted(role for role, granted in GRANTS.items() if permission in granted)
            raise Forbidden(permission=str(permission), roles=[str(role) for role in holders])

    @property
    def own_org(self) -> str:
        """The organization acted for. Raises Forbidden for someone without one."""
        if self.org is None:
            raise Forbidden(Words("请先加入或注册一个组织。", "Join or register an organization first."))
        return self.org


def identity_faults(kind: PartyKind, id_type: IdType, id_number: str) -> list[Fault]:
    """What is wrong with a party's identity document (GB 32100, GB 11643)."""
    if kind is PartyKind.ORGANIZATION and id_type is not IdType.USCC:
        return [
            Fault(
                "id_type",
                "party.uscc",
                Words("组织须填写统一社会信用代码。", "An organization is identified by its USCC."),
            )
        ]
    if id_type is IdType.USCC and not valid_uscc(id_number):
        words = Words(
            "统一社会信用代码应为 18 位且校验码正确，请核对营业执照。",
            "A USCC has 18 characters and a check character; compare with the business license.",
        )
        return [Fault("id_number", "party.uscc_check", words)]
    if id_type is IdType.ID_CARD and not valid_id_card(id_number):
        words = Words("身份证号码校验位不正确。", "The check digit of the identity card number is wrong.")
        return [Fault("id_number", "party.id_card_check", words)]
    if not 4 <= len(id_number) <= 40:
        return [Fault("id_number", "length", Words("证件号码为 4 至 40 个字符。", "4 to 40 characters."))]
    return []


@dataclass(frozen=True, slots=True)
class Details:
    """主体信息. What an organization's administrator may write about it: its line of the party block."""

    name: str
    id_number: str
    address: str
    legal_representative: str = ""
    contact: str = ""
    phone: str = ""
    email: str = ""
    bank_account: str = ""

    def tidied(self) -> "Details":
        """The same without surrounding space; the number in capitals, the e-mail as it is compared."""
        values = {each.name: getattr(self, each.name).strip() for each in fields(self)}
        values["id_number"] = values["id_number"].upper()
        values["email"] = normal_email(values["email"]) or values["email"]
        return Details(**values)


# The longest value of each line, in characters: as wide as a contract prints it.
DETAIL_LENGTHS = {
    "name": 100,
    "address": 200,
    "legal_representative": 60,
    "contact": 60,
    "phone": 40,
    "email": 254,
    "bank_account": 100,
}


def detail_faults(details: Details) -> list[Fault]:
    """What is wrong with tidied details, apart from the identity document."""
    faults = []
    if len(details.name) < 2:
        faults.append(Fault("name", "length", Words("名称为 2 至 100 个字符。", "2 to 100 characters.")))
    if not details.address:
        words = Words("请填写住所，合同须载明。", "Write the address: contracts print it.")
        faults.append(Fault("address", "required", words))
    for name, most in DETAIL_LENGTHS.items():
        text = getattr(details, name)
        if len(text) > most or not text.isprintable():
            words = Words(f"最多 {most} 个字符，不含换行。", f"At most {most} characters on one line.")
            faults.append(Fault(name, "length", words))
    if details.email and normal_email(details.email) is None:
        words = Words("请填写有效的邮箱。", "Write a valid e-mail address.")
        faults.append(Fault("email", "email", words))
    return faults


def role_faults(kind: OrgKind, roles: frozenset[Role]) -> list[Fault]:
    """Why an organization of `kind` may not give one member these roles."""
    faults = []
    if not roles:
        faults.append(Fault("roles", "required", Words("请至少选择一个角色。", "Choose at least one role.")))
    if wrong := roles - ROLES_OF[kind]:
        names = ", ".join(sorted(wrong))
        faults.append(
            Fault(
                "roles",
                "role.kind",
                Words(f"{kind.words.zh}不能授予角色：{names}", f"{kind.words.en} cannot give: {names}"),
            )
        )
    faults += [
        Fault(
            "roles",
            "role.apart",
            Words(
                "同一人不得同时担任：" + "、".join(role.words.zh for role in sorted(pair)),
                "One person cannot be both: " + ", ".join(role.words.en for role in sorted(pair)),
            ),
        )
        for pair in APART
        if pair <= roles
    ]
    return faults


def password_faults(password: str, login: str) -> list[Fault]:
    """Long beats clever: 10 to 128 characters, not the login, not one character repeated."""
    if not 10 <= len(password) <= 128:
        return [
            Fault("password", "password.length", Words("密码为 10 至 128 个字符。", "10 to 128 characters."))
        ]
    name = login.partition("@")[0].casefold()
    if len(set(password)) < 4 or (len(name) > 3 and name in password.casefold()):
        words = Words("密码过于简单，或包含登录名。", "Too simple, or it contains the login.")
        return [Fault("password", "password.simple", words)]
    return []


def normal_email(text: str) -> str | None:
    """The e-mail as kept and compared (NFKC, lower case), or None when it is not one."""
    email = unicodedata.normalize("NFKC", text).strip().lower()
    return email if re.fullmatch(r"[^@\s<>\"',;:]{1,64}@[a-z0-9.-]{1,190}", email) else None


def new_secret() -> str:
    """256 random bits for links and sessions, URL-safe."""
    return secrets.token_urlsafe(32)


MAX_FAILURES = 5
LOCK_MINUTES = 15
SESSION_HOURS = 12
LINK_HOURS = {"welcome": 72, "reset": 2, "invite": 24 * 7}
