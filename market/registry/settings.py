"""What an operator may set about the registrar's office."""

from pydantic import BaseModel, Field


class RegistrySettings(BaseModel, frozen=True):
    """登记机构. Clocks in working days of the Chinese holiday calendar; percent as whole numbers."""

    notice_days: int = Field(
        10,
        ge=0,
        le=60,
        description="Working days of a public notice; 0 registers right after the review. Demo mode: 0 unless set.",
    )
    answer_days: int = Field(
        5,
        ge=0,
        le=60,
        description="Working days a registrant has to answer an objection before it is decided.",
    )
    renewal_days: int = Field(
        60, ge=1, le=365, description="Days before the end in which to ask for renewal."
    )
    similar_percent: int = Field(
        80, ge=50, le=100, description="Likeness of title or data items from which a duplicate is suspected."
    )
    timezone: str = Field(
        "Asia/Shanghai", description="Zone in which working days begin; follows SHUGANG_TIMEZONE."
    )
    area_code: str = Field(
        "370200", description="GB/T 2260 code in registration numbers; follows SHUGANG_AREA_CODE."
    )

    def without_notice(self) -> "RegistrySettings":
        """The same office, registering right after the review."""
        return self.model_copy(update={"notice_days": 0})


USUAL = RegistrySettings()
