"""Demo files: public holidays from a freely licensed package, everything else invented by a fixed rule."""

import csv
import io
from datetime import date, timedelta
from random import Random

import chinese_calendar

_ROADS = (
    ("香港中路", "市南区"),
    ("山东路", "市北区"),
    ("黑龙江中路", "李沧区"),
    ("滨海大道", "黄岛区"),
    ("海尔路", "崂山区"),
    ("正阳路", "城阳区"),
    ("文化路", "即墨区"),
    ("泉州路", "胶州市"),
)
_BEACHES = (
    "第一海水浴场",
    "第三海水浴场",
    "石老人海水浴场",
    "金沙滩海水浴场",
    "银沙滩海水浴场",
    "仰口海水浴场",
)
_HOLIDAYS = {
    "New Year's Day": "元旦",
    "Spring Festival": "春节",
    "Tomb-sweeping Day": "清明节",
    "Labour Day": "劳动节",
    "Dragon Boat Festival": "端午节",
    "National Day": "国庆节",
    "Mid-autumn Festival": "中秋节",
}
_WEEKDAYS = ("周一", "周二", "周三", "周四", "周五", "周六", "周日")


def _text(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def holidays() -> bytes:
    """法定节假日与调休. Every day of 2024 to 2026 with its kind, from the package chinese-calendar (MIT)."""
    rows: list[tuple[object, ...]] = []
    day = date(2024, 1, 1)
    while day <= date(2026, 12, 31):
        on_holiday, name = chinese_calendar.get_holiday_detail(day)
        kind = "休息日" if on_holiday else "工作日"
        shifted = not on_holiday and day.weekday() >= 5
        rows.append(
            (
                day.isoformat(),
                _WEEKDAYS[day.weekday()],
                kind,
                _HOLIDAYS.get(name or "", ""),
                "是" if shifted else "否",
            )
        )
        day += timedelta(days=1)
    return _text(("日期", "星期", "类型", "节日", "调休上班"), rows).encode()


def beaches() -> bytes:
    """海水浴场水质与水温. An invented summer of daily readings, written in GB18030 as many bureaus still do."""
    random, rows = Random(20260701), list[tuple[object, ...]]()
    for offset in range(92):
        day = date(2026, 6, 15) + timedelta(days=offset)
        for number, beach in enumerate(_BEACHES, 1):
            warmth = 190 + min(offset, 60) + random.randrange(-15, 16)
            waves = random.randrange(2, 16)
            advice = "适宜" if waves < 10 else ("较适宜" if waves < 13 else "不适宜")
            rows.append(
                (
                    day.isoformat(),
                    f"B{number:02d}",
                    beach,
                    f"{warmth // 10}.{warmth % 10}",
                    f"{waves // 10}.{waves % 10}",
                    advice,
                )
            )
    header = ("监测日期", "浴场编号", "浴场名称", "水温", "浪高", "游泳建议")
    return _text(header, rows).encode("gb18030")


def road_speeds() -> bytes:
    """路段速度与拥堵指数. Invented five-minute readings, with the flaws a refinery is for.

    Some vehicles' plate numbers slipped in, some speeds are impossible, some rows stand twice.
    """
    random, rows = Random(20261101), list[tuple[object, ...]]()
    for offset in range(14):
        day = date(2026, 11, 1) + timedelta(days=offset)
        for slot in range(0, 288, 6):
            for number, (road, district) in enumerate(_ROADS, 1):
                rush = slot // 12 in {7, 8, 17, 18}
                speed: object = random.randrange(12, 34) if rush else random.randrange(30, 62)
                if random.randrange(400) == 0:
                    speed = random.choice(("", "-1", "999"))
                level = "拥堵" if rush else "畅通"
                plate = f"鲁B{random.randrange(10_000, 99_999)}"
                row = (
                    f"L{number:03d}",
                    road,
                    district,
                    f"{day} {slot // 12:02d}:{slot % 12 * 5:02d}:00",
                    speed,
                    level,
                    plate,
                )
                rows.append(row)
                if random.randrange(500) == 0:
                    rows.append(row)
    header = ("link_id", "road", "district", "measured_at", "speed_kmh", "level", "sample_plate")
    return _text(header, rows).encode()


def port_index() -> bytes:
    """港口箱量与堆场景气指数. Invented weekly figures of three ports."""
    random, rows = Random(20260101), list[tuple[object, ...]]()
    for week in range(150):
        day = date(2024, 1, 5) + timedelta(weeks=week)
        for code, port in (("QDG", "前湾港区"), ("DJK", "董家口港区"), ("DG", "大港港区")):
            rows.append(
                (
                    day.isoformat(),
                    code,
                    port,
                    900 + week + random.randrange(-60, 61),
                    80 + random.randrange(0, 41),
                )
            )
    return _text(("week_end", "port_code", "port", "teu_index", "dwell_index"), rows).encode()


def enterprise_activity() -> bytes:
    """企业用电活跃度指数. Invented monthly indices of parks, kept waiting for the registrar."""
    random, rows = Random(7), list[tuple[object, ...]]()
    for park in range(1, 41):
        for month in range(1, 13):
            rows.append((f"P{park:03d}", f"2025-{month:02d}", 60 + random.randrange(0, 41)))
    return _text(("park_id", "month", "activity_index"), rows).encode()
