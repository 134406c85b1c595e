"""Fill the demo's shelves: a mandate and ceilings for the public data, then the forty products, one by one."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from random import Random

from contracts.terms import Purpose
from market.catalogue import queries as catalogue
from market.demo import story
from market.demo.cast import acting
from market.demo.pieces import Piece
from market.demo.shelf import MEANINGS, ROWS_OF_DEMO, Row
from market.house import House
from market.mandates import actions as mandates
from market.mandates import pricing
from market.mandates import queries as held
from market.mandates.prices import PRICE_OF, CeilingForm
from market.mandates.rules import NOTICE_DAYS, Agreement
from market.policy.inputs import SupplyKind
from market.trading.holding import sign_mandate
from storage.kernel import clock
from storage.kernel.problem import NotFound

READINGS = 24  # rows of each product: enough to look at, quick to make
_WORDS = ("一号", "二号", "三号", "东部", "西部", "南部", "北部", "中心")
_DISTRICTS = (
    "市南区",
    "市北区",
    "李沧区",
    "崂山区",
    "黄岛区",
    "城阳区",
    "即墨区",
    "胶州市",
    "平度市",
    "莱西市",
)


def stock(house: House, say: Callable[[str], None]) -> int:
    """Put every product that is not there yet on the shelf. Returns how many were put there now."""
    wanted = [row for row in ROWS_OF_DEMO if not _there(house, row)]
    if not wanted:
        return 0
    say("授权运营与上限收费 mandate and ceilings")
    _mandate(house)
    for row in wanted:
        say(f"{row.code} {row.zh} {row.en}")
        if row.supply is not SupplyKind.ENTERPRISE:
            _ceiling(house, row)
        story.put(house, _piece(row))
    house.pulse.beat()
    return len(wanted)


def _there(house: House, row: Row) -> bool:
    with house.store.view() as view:
        try:
            catalogue.product(view, acting(house, row.owner), row.slug)
        except NotFound:
            return False
    return True


def _mandate(house: House) -> None:
    """An authorized operation of everything, granted a month ago, so that its public notice has run."""
    mandator, operator, compliance = (
        acting(house, login) for login in ("mandator", "provider", "compliance")
    )
    with house.store.view() as view:
        if held.mandates(view, operator, operator=operator.own_org):
            return
    today = held.today()
    agreement = Agreement(
        title="演示：青岛市公共数据资源授权运营协议",
        purposes=tuple(Purpose),
        first_day=today - timedelta(days=20),
        last_day=today + timedelta(days=3 * 365),
        duties="按约定周期更新，落实分级保护与安全管理",
        charging="按上限收费标准收费，收益按累进档分配",
        exit_terms="期满移交数据与接口，销毁副本",
    )
    with clock.held(clock.now() - timedelta(days=max(30, NOTICE_DAYS + 1))):
        with house.store.unit(mandator.id, mandator.org) as unit:
            drafted = mandates.draft_mandate(
                unit, mandator, operator_id=operator.own_org, agreement=agreement
            )
            case = mandates.submit_mandate(
                unit, mandator, drafted.id, minutes_no="演示纪要〔2026〕1 号", minutes_on=held.today()
            ).case_id
        assert case is not None
        with house.store.unit(compliance.id, compliance.org) as unit:
            mandates.decide_mandate(unit, compliance, case, approve=True, reason=story.REASON)
    with house.store.view() as view:
        sha256 = held.mandate(view, operator, drafted.id).sha256
    with house.store.unit(operator.id, operator.org) as unit:
        sign_mandate(unit, operator, drafted.id, sha256=sha256)


def _ceiling(house: House, row: Row) -> None:
    """The ceiling of every price the product asks: its very price, as the guided price of the demo."""
    mandator = acting(house, "mandator")
    with house.store.view() as view:
        known = {limit.unit for limit in held.limits(view, row.slug)}
    for unit_of_charge, name in PRICE_OF.items():
        fen = getattr(row.price, name)
        if not fen or unit_of_charge in known:
            continue
        form = CeilingForm(
            product=row.slug,
            unit=unit_of_charge,
            max_yuan=f"{fen // 100}.{fen % 100:02d}",
            decided_by="青岛市发展和改革委员会（演示）",
            document_no="青发改价〔2026〕演示 1 号",
            first_day=held.today(),
            last_day=held.today() + timedelta(days=2 * 365),
        )
        with house.store.unit(mandator.id, mandator.org) as unit:
            pricing.set_ceiling(unit, mandator, form=form)


def _piece(row: Row) -> Piece:
    words = tuple((name, MEANINGS.get(name, name), name.replace("_", " ")) for name in row.fields)
    return Piece(
        slug=row.slug,
        owner=row.owner,
        title_zh=row.zh,
        title_en=row.en,
        file_name=f"{row.slug}.csv",
        content=lambda: table(row),
        steps=({"step": "dedupe", "columns": []},),
        indexes=(row.fields[0],),
        words=words,
        zone=row.zone,
        tier=row.tier,
        open_attr=row.open_attr,
        grade=row.grade,
        supply=row.supply,
        summary_zh=f"{row.zh}（{row.unit}，虚构数据）。",
        summary_en=f"{row.en} (invented data).",
        price=None if row.price.highest_fen == 0 else row.price,
        kind=row.kind,
        delivery=row.delivery,
        form=row.form,
        permit=row.permit,
        pi_basis=row.pi_basis,
        unit=row.unit,
        prepay_fen=row.prepay_fen,
    )


def table(row: Row) -> bytes:
    """The invented rows of a product: always the same ones, made from its code."""
    random = Random(row.code)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(row.fields)
    for number in range(READINGS):
        writer.writerow(list(_cells(row, number, random)))
    return out.getvalue().encode()


def _cells(row: Row, number: int, random: Random) -> Iterator[object]:
    day = date(2026, 10, 1) + timedelta(days=number)
    made: dict[str, Callable[[str], object]] = {
        "key": lambda name: f"{row.code}{name[:2].upper()}{number:04d}",
        "place": lambda _: _DISTRICTS[number % len(_DISTRICTS)],
        "day": lambda _: day.isoformat(),
        "moment": lambda _: f"{day} {number % 24:02d}:00:00",
        "degree": lambda name: f"{(120, 36)[name == 'lat']}.{random.randrange(10_000):04d}",
        "shape": lambda _: "POLYGON((120 36,121 36,121 37,120 36))",
        "system": lambda _: "CGCS2000",
        "word": lambda _: random.choice(_WORDS),
        "answer": lambda _: random.choice(("Y", "N")),
        "count": lambda _: random.randrange(1, 1000),
    }
    return (made[_kind(name)](name) for name in row.fields)


# What a column holds, by its name or by how it ends; anything else is a count.
_NAMES = {
    "key": {"uscc", "producer_uscc", "grid_1km"},
    "place": {"district", "area_code"},
    "day": {"data_date", "date", "day", "week", "event_date", "est_date", "decision_date", "as_of"},
    "moment": {"ts", "ts5min"},
    "degree": {"lon", "lat"},
    "shape": {"polygon_wkt", "bbox"},
    "system": {"crs"},
    "answer": {"valid", "lift", "toilet", "aed", "insured"},
}
_ENDS = {
    "key": ("_id", "_no", "_hash", "_code"),
    "moment": ("_time", "_on", "_from", "_to"),
    "answer": ("_match",),
    "word": ("name", "advice", "rule", "type", "level", "status", "item", "result", "dir", "class"),
}


def _kind(name: str) -> str:
    by_name = (kind for kind, names in _NAMES.items() if name in names)
    by_end = (kind for kind, ends in _ENDS.items() if name.endswith(ends))
    return next(by_name, None) or next(by_end, "count")
