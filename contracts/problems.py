"""What the rooms above can be refused here."""

from storage.kernel.problem import Conflict, NotFound, Problem
from storage.kernel.words import Words


class ContractNotFound(NotFound):
    """合同不存在. No contract by this id."""

    title = Words("未找到合同", "Contract not found")


class LicenseNotFound(NotFound):
    """许可不存在. No license by this id."""

    title = Words("未找到许可", "License not found")


class TemplateNotFound(NotFound):
    """示范文本不存在. No contract template of this name and version."""

    title = Words("未找到合同文本", "Contract template not found")
    remedy = Words("请检查合同文本的名称和版本。", "Check the name and the version of the contract template.")


class ContractTextDiffers(Conflict):
    """合同文本不一致. The hash accepted is not the hash of this contract; `current` is the right one."""

    title = Words("所接受的文本不是当前合同文本", "The accepted text is not the text of this contract")
    remedy = Words(
        "请重新打开合同全文，核对内容哈希后再次接受。",
        "Open the full text again, compare the content hash and accept once more.",
    )


class OfferExceeded(Problem):
    """超出挂牌要约. The contract grants more than the provider's standing offer; `differences` lists where."""

    status = 409
    title = Words("合同超出提供方的挂牌要约", "The contract goes beyond the provider's standing offer")
    remedy = Words(
        "请按要约调整列出的条款，或请提供方逐份确认。",
        "Bring the listed terms within the offer, or ask the provider to accept this contract itself.",
    )


class SignerUnknown(Problem):
    """签署方不符. The party that accepts is not a party to this contract."""

    status = 409
    title = Words("接受合同的主体不是合同当事人", "The accepting party is not a party to this contract")
    remedy = Words("请以合同所列主体的身份操作。", "Act for the party that the contract names.")
