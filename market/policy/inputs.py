"""What the line between public-good and commercial is drawn from, besides the terms: supply, source, openness, grade."""

from storage.kernel.words import Worded


class SupplyKind(Worded):
    """供给类型. Whose duty or business produced the data."""

    PUBLIC = "public", "公共数据", "Public data"
    ENTERPRISE = "enterprise", "企业数据", "Enterprise data"
    MIXED = "mixed", "融合数据", "Mixed"


class OpenAttr(Worded):
    """开放属性. Whether society may have the data (Qingdao open-data rules)."""

    UNCONDITIONAL = "U", "无条件开放", "Open without conditions"
    CONDITIONAL = "K", "有条件开放", "Open with conditions"
    CLOSED = "N", "不予开放", "Not open"


class SourceKind(Worded):
    """数据来源. 数据安全法 33: the provider explains where the data comes from."""

    SELF_COLLECTED = "self_collected", "自行采集", "Collected by ourselves"
    PUBLIC_AUTHORIZED = "public_authorized", "公共数据授权", "Authorized public data"
    PURCHASED = "purchased", "购买", "Purchased"
    LICENSED = "licensed", "许可取得", "Licensed"
    CRAWLED = "crawled", "公开收集", "Collected from public sources"
    DERIVED = "derived", "加工衍生", "Derived"


class DataGrade(Worded):
    """数据分级. GB/T 43697-2024: general data in four levels, important data, core data."""

    G1 = "G1", "一般数据 1 级", "General data, level 1"
    G2 = "G2", "一般数据 2 级", "General data, level 2"
    G3 = "G3", "一般数据 3 级", "General data, level 3"
    G4 = "G4", "一般数据 4 级", "General data, level 4"
    IMPORTANT = "IMPORTANT", "重要数据", "Important data"
    CORE = "CORE", "核心数据", "Core data"

    @property
    def sensitive(self) -> bool:
        """Level 3 and above: four eyes, and no copy leaves the house."""
        return self not in {DataGrade.G1, DataGrade.G2}
