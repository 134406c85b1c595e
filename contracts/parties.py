"""合同主体 Who signs: the party block every contract carries."""

from typing import Self

from pydantic import Field, model_validator

from contracts.values import Line, Value
from storage.kernel.numbers import valid_id_card, valid_uscc
from storage.kernel.problem import invalid
from storage.kernel.words import Worded, Words


class IdentityKind(Worded):
    """证件类型. What identifies a party in a contract."""

    USCC = "uscc", "统一社会信用代码", "Unified social credit code"
    ID_CARD = "id_card", "居民身份证", "Resident identity card"
    PASSPORT = "passport", "护照", "Passport"
    OTHER = "other", "其他证件", "Other document"


class Party(Value):
    """合同主体. One side of a contract as it is printed and signed.

    A USCC and a resident identity number must carry their right check digit; Invalid otherwise.
    """

    id: str = Field(min_length=1, max_length=40)  # the party's id on the platform
    name: Line
    name_en: Line | None = None
    identity_kind: IdentityKind = IdentityKind.USCC
    identity_number: str = Field(min_length=1, max_length=40)
    address: Line
    legal_representative: Line | None = None
    agent: Line | None = None
    contact: Line | None = None
    phone: str | None = Field(None, max_length=40)
    email: str | None = Field(None, max_length=254)
    postcode: str | None = Field(None, max_length=12)

    @model_validator(mode="after")
    def _identity_number_is_genuine(self) -> Self:
        check = {IdentityKind.USCC: valid_uscc, IdentityKind.ID_CARD: valid_id_card}.get(self.identity_kind)
        if check and not check(self.identity_number):
            raise invalid(
                "identity_number",
                "party.identity",
                f"{self.name}的{self.identity_kind.words.zh}校验位不正确。",
                f"The check digit of this {self.identity_kind.words.en.lower()} is wrong.",
            )
        return self

    def title(self) -> Words:
        """The name as each language prints it; the English text keeps the registered name beside it."""
        return Words(self.name, f"{self.name_en} ({self.name})" if self.name_en else self.name)

    def rows(self) -> list[tuple[Words, Words]]:
        """Label and value of every line of the party block that is filled in."""
        same = {
            Words("住所", "Registered address"): self.address,
            Words("法定代表人／负责人", "Legal representative"): self.legal_representative,
            Words("委托代理人", "Authorized agent"): self.agent,
            Words("联系人", "Contact"): self.contact,
            Words("电话", "Telephone"): self.phone,
            Words("电子邮箱", "E-mail"): self.email,
            Words("邮政编码", "Postcode"): self.postcode,
        }
        return [
            (Words("名称（姓名）", "Name"), self.title()),
            (self.identity_kind.words, Words(self.identity_number, self.identity_number)),
            *((label, Words(text, text)) for label, text in same.items() if text),
        ]
