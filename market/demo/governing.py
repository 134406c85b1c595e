"""The demo's government: a first open list and negative list, one signed mandate, ceilings where public data is sold."""

from collections.abc import Sequence
from datetime import date, timedelta

from contracts.terms import Purpose
from market.demo.cast import acting, organization
from market.house import House
from market.identity.rules import Actor
from market.lists import actions as lists
from market.lists.rules import Bar, Change, ChangeKind, Condition, Entry, ListKind
from market.mandates import actions as mandates
from market.mandates import pricing
from market.mandates.prices import CapForm, CeilingForm, ChargeUnit
from market.mandates.rules import NOTICE_DAYS, ZONE, Agreement, Bracket
from market.policy.inputs import DataGrade, OpenAttr, PersonalInfo, SourceKind
from market.trading import holding
from storage.kernel import clock

REASON = "演示：依据充分 demo: well founded"
PRICER = "青岛市发展和改革委员会"
SALES = (Purpose.INDUSTRY, Purpose.SECTOR, Purpose.INTERNAL_BUSINESS)
_PEOPLE = (PersonalInfo.PI, PersonalInfo.SPI)


def _negative(
    title: tuple[str, str], reason: tuple[str, str], basis: tuple[str, str], bar: Bar, condition: Condition
) -> Entry:
    return Entry(
        title_zh=title[0], title_en=title[1], reason_zh=reason[0], reason_en=reason[1],
        law=basis[0], article=basis[1], effective_from=date(2026, 1, 1), review_on=date(2027, 12, 31),
        bar=bar, condition=condition,
    )  # fmt: skip


NEGATIVE = (
    _negative(
        ("核心数据", "Core data"),
        ("关系国家安全、国民经济命脉，不得登记入场", "Bears on national security; never enters"),
        ("数据安全法", "第 21 条"), Bar.REGISTRATION, Condition(grades=(DataGrade.CORE,)),
    ),
    _negative(
        ("军港水深等涉密测绘成果", "Classified surveys such as depths of naval ports"),
        ("涉及军事设施与国家秘密", "Concerns military sites and state secrets"),
        ("测绘法", "第 47 条"), Bar.REGISTRATION, Condition(words=("军港", "军事设施", "涉密测绘")),
    ),
    _negative(
        ("个人身份证明细", "Identity numbers of persons"),
        ("可直接识别个人且无单独同意", "Identifies persons directly, without separate consent"),
        ("个人信息保护法", "第 23、29 条"), Bar.TRADE,
        Condition(fields=("身份证号", "证件号码", "id_card_no"), personal=_PEOPLE),
    ),
    _negative(
        ("未脱敏的医保结算明细", "Health insurance settlements not de-identified"),
        ("含疾病等敏感个人信息", "Contains illnesses and other sensitive personal information"),
        ("个人信息保护法", "第 28 条"), Bar.TRADE,
        Condition(words=("医保结算", "诊疗明细"), personal=(PersonalInfo.SPI,)),
    ),
    _negative(
        ("居民逐户用电明细", "Electricity readings of single households"),
        ("可推断居民起居，识别到户", "Tells when people are at home, house by house"),
        ("个人信息保护法", "第 13 条"), Bar.TRADE, Condition(words=("逐户用电", "household readings")),
    ),
    _negative(
        ("未依法开放的不动产登记全量", "The whole land register, which is not open"),
        ("依法限于权利人与利害关系人查询", "By law for holders and those concerned only"),
        ("不动产登记暂行条例", "第 27 条"), Bar.TRADE,
        Condition(words=("不动产登记",), open_attrs=(OpenAttr.CLOSED,)),
    ),
    _negative(
        ("爬取的个人画像", "Profiles of persons taken from the web"),
        ("来源不合法，未经个人同意", "Unlawful source, nobody agreed"),
        ("网络数据安全管理条例", "第 18、24 条"), Bar.REGISTRATION,
        Condition(sources=(SourceKind.CRAWLED,), personal=_PEOPLE),
    ),
    _negative(
        ("无合法依据的个人信息", "Personal information without a legal basis"),
        ("未取得同意亦无其他合法依据", "No consent and no other legal basis"),
        ("个人信息保护法", "第 13 条"), Bar.TRADE, Condition(without_basis=True),
    ),
)  # fmt: skip


def _opened(resource: str, title: tuple[str, str], unit: str) -> Entry:
    return Entry(
        title_zh=title[0],
        title_en=title[1],
        reason_zh="便民信息，开放为常态",
        reason_en="Useful to everybody; open is the rule",
        law="青岛市公共数据开放管理办法",
        article="第 12 条",
        effective_from=date(2026, 1, 1),
        review_on=date(2027, 12, 31),
        unit_name=organization(unit).name,
        resource=f"370200-demo-{resource}",
        open_attr=OpenAttr.UNCONDITIONAL,
    )


OPEN = (
    _opened("holidays", ("法定节假日与调休安排", "Public holidays"), "service"),
    _opened("beaches", ("海水浴场水质与水温", "Beach water and temperature"), "marine"),
)


def govern(house: House) -> None:
    """Publish both lists, and let the bureau grant, price and cap; each thing by two people."""
    _publish(house, ListKind.NEGATIVE, NEGATIVE)
    _publish(house, ListKind.OPEN, OPEN)
    _mandate(house)
    mandator = acting(house, "mandator")
    today = clock.now().astimezone(ZONE).date()
    with house.store.unit(mandator.id, mandator.org) as unit:
        for charged, most in ((ChargeUnit.CALL, "0.03"), (ChargeUnit.DOWNLOAD, "800")):
            form = CeilingForm(
                product="road-speeds",
                unit=charged,
                max_yuan=most,
                decided_by=PRICER,
                document_no="青发改价〔2026〕演示 1 号",
                first_day=today - timedelta(days=30),
                last_day=today + timedelta(days=700),
            )
            pricing.set_ceiling(unit, mandator, form=form)
        pricing.set_cap(unit, mandator, form=_cap(house, today.year))


def _cap(house: House, year: int) -> CapForm:
    return CapForm(
        operator_id=acting(house, "provider").own_org,
        first_day=date(year, 1, 1),
        last_day=date(year, 12, 31),
        cap_fen=5_000_000_00,
        decided_by=PRICER,
        document_no="青发改价〔2026〕演示 2 号",
    )


def _publish(house: House, kind: ListKind, entries: Sequence[Entry]) -> None:
    mandator, second = acting(house, "mandator"), acting(house, "compliance")
    changes = [Change(kind=ChangeKind.ADD, entry=entry) for entry in entries]
    with house.store.unit(mandator.id, mandator.org) as unit:
        edit = lists.propose_edit(
            unit, mandator, kind=kind, changes=changes, summary="首版清单 first version"
        )
    assert edit.case_id is not None
    with house.store.unit(second.id, second.org) as unit:
        holding.decide_list_edit(unit, second, edit.case_id, approve=True, reason=REASON)


def _mandate(house: House) -> None:
    """Granted and noticed some weeks ago, signed when the notice was over."""
    mandator, operator = acting(house, "mandator"), acting(house, "provider")
    signing = clock.now() - timedelta(days=30)
    with clock.held(signing - timedelta(days=NOTICE_DAYS, hours=1)):
        drafted, sha256 = _granted(house, mandator, operator, signing.astimezone(ZONE).date())
    with clock.held(signing), house.store.unit(operator.id, operator.org) as unit:
        holding.sign_mandate(unit, operator, drafted, sha256=sha256)


def _granted(house: House, mandator: Actor, operator: Actor, first: date) -> tuple[str, str]:
    agreement = Agreement(
        title="青岛市交通领域公共数据授权运营协议（演示）",
        purposes=SALES,
        first_day=first,
        last_day=first + timedelta(days=3 * 365),
        duties="按月更新；落实分类分级与脱敏；原始数据不出域",
        charging="不高于上限收费标准；收益按累进档分配给供数单位",
        exit_terms="期满或终止后三十日内移交数据与接口，销毁副本并出具证明",
        brackets=(Bracket(from_fen=0, share_bp=1000), Bracket(from_fen=100_000_000, share_bp=2000)),
    )
    with house.store.unit(mandator.id, mandator.org) as unit:
        mandate = mandates.draft_mandate(unit, mandator, operator_id=operator.own_org, agreement=agreement)
        sent = mandates.submit_mandate(
            unit,
            mandator,
            mandate.id,
            minutes_no="青数管纪〔2026〕演示 1 号",
            minutes_on=clock.now().astimezone(ZONE).date(),
        )
    second = acting(house, "compliance")
    assert sent.case_id is not None
    with house.store.unit(second.id, second.org) as unit:
        mandates.decide_mandate(unit, second, sent.case_id, approve=True, reason=REASON)
    return mandate.id, mandate.sha256
