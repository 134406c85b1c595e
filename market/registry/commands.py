"""登记规程 The commands of a registration and whose hand gives each; docs/permissions.md is drawn from here."""

from market.identity.rules import GRANTS, Permission, Role
from market.registry.rules import ASSET, AssetState
from storage.kernel.words import Worded


class Hand(Worded):
    """经办身份. Who acts on a registration; nobody examines what their own organization registers."""

    REGISTRANT = "registrant", "登记主体", "Registrant"
    REGISTRAR = "registrar", "登记机构", "Registrar of another organization"
    PUBLIC = "public", "其他单位和个人", "Anybody else"
    CLOCK = "clock", "系统时钟", "The clock"

    @property
    def roles(self) -> list[Role]:
        """The roles people of this hand have; none are asked of the public."""
        wanted = {Hand.REGISTRANT: Permission.ASSET_DRAFT, Hand.REGISTRAR: Permission.ASSET_REVIEW}.get(self)
        return sorted(role for role, granted in GRANTS.items() if wanted in granted)


class Command(Worded):
    """登记指令."""

    EDIT = "edit", "修改", "Edit"
    SUBMIT = "submit", "提交", "Submit"
    WITHDRAW = "withdraw", "撤回", "Withdraw"
    ANSWER = "answer", "答复异议", "Answer the objection"
    CHANGE = "change", "变更或更正", "Change or correct"
    RENEW = "renew", "续展", "Renew"
    TRANSFER = "transfer", "转移", "Transfer"
    CANCEL = "cancel", "注销", "Cancel"
    ACCEPT = "accept", "受理", "Accept"
    RETURN = "return", "退回补正", "Return for correction"
    REVIEW = "review", "审核", "Review"
    REJECT = "reject", "不予登记", "Reject"
    PUBLISH = "publish", "公示", "Publish the notice"
    REGISTER = "register", "登记", "Register"
    DISMISS = "dismiss", "异议不成立", "Dismiss the objection"
    SUSTAIN = "sustain", "异议成立", "Sustain the objection"
    REVOKE = "revoke", "撤销登记", "Revoke"
    OBJECT = "object", "提出异议", "Object"
    EXPIRE = "expire", "到期", "Expire"

    @property
    def hand(self) -> Hand:
        """Who gives it. What is registered changes on the registrant's application, which a registrar decides."""
        return _HANDS[self]


_HANDS = {
    **dict.fromkeys(
        (
            Command.EDIT, Command.SUBMIT, Command.WITHDRAW, Command.ANSWER,
            Command.CHANGE, Command.RENEW, Command.TRANSFER, Command.CANCEL,
        ),
        Hand.REGISTRANT,
    ),
    **dict.fromkeys(
        (
            Command.ACCEPT, Command.RETURN, Command.REVIEW, Command.REJECT, Command.PUBLISH,
            Command.REGISTER, Command.DISMISS, Command.SUSTAIN, Command.REVOKE,
        ),
        Hand.REGISTRAR,
    ),
    Command.OBJECT: Hand.PUBLIC,
    Command.EXPIRE: Hand.CLOCK,
}  # fmt: skip


def allowed(state: AssetState, hand: Hand) -> list[Command]:
    """可办事项. What a hand may do in a state; an open objection is answered while it stands."""
    verbs = {*ASSET.verbs(state), *(("answer",) if state is AssetState.OBJECTED else ())}
    return [command for command in Command if command.hand is hand and command.value in verbs]
