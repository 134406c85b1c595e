"""Keep a market: schema, first administrator, backup and restore, reconciliation, closing a month."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from contracts import keyring
from market import records
from market.audit import queries as audit
from market.audit.rules import RecordKind, purgeable_before
from market.chores import sign_head
from market.cli.environment import require_keys
from market.cli.opening import opened
from market.cli.problems import FileRefused, SettingsRefused
from market.cli.terminal import JsonFlag, bar, say
from market.house import House
from market.identity import actions as identity
from market.identity.actions import PartyForm
from market.identity.queries import actor_by_login, user_by_login
from market.identity.rules import OrgKind, Permission
from market.trading import closing, reconcile, restoring
from storage import backup, journal
from storage.kernel import clock
from storage.kernel.problem import NotFound, invalid
from storage.kernel.words import Words
from storage.unit import Unit


def db_upgrade(as_json: JsonFlag = False) -> None:
    """升级数据库结构 Bring the schema to the newest revision."""
    with opened(schema=False) as house:
        house.migrate()
    say(as_json, "数据库已是最新 The schema is current.", schema="current")


def user_create(
    login: Annotated[str, typer.Argument(help="邮箱 e-mail")],
    name: Annotated[str, typer.Option(help="姓名 name")] = "平台管理员",
    admin: Annotated[bool, typer.Option("--admin", help="平台管理员 platform administrator")] = False,
    operator_name: Annotated[
        str, typer.Option(help="平台运营方名称 market operator's name")
    ] = "数据交易平台运营方",
    operator_uscc: Annotated[str, typer.Option(help="运营方统一社会信用代码 its USCC")] = "",
    as_json: JsonFlag = False,
) -> None:
    """创建管理员 Create an administrator; prints a one-time link, never a password."""
    if not admin:
        raise invalid(
            "--admin",
            "required",
            "成员由其所属组织邀请；此处只创建平台管理员。",
            "People are invited by their organization; only --admin is created here.",
        )
    with opened(schema=False) as house:
        house.migrate()
        form = PartyForm(name=operator_name, id_number=operator_uscc, org_kind=OrgKind.MARKET_OPERATOR)
        with house.store.unit("system:cli") as unit:
            secret = identity.create_first_admin(unit, login=login, name=name, operator=form)
        link = f"{house.settings.public_url}/link/{secret}"
    say(
        as_json,
        f"请在 72 小时内打开此链接设置密码 Open within 72 hours to set a password:\n{link}",
        link=link,
    )


def back_up(
    folder: Annotated[Path, typer.Argument(help="新文件夹 a folder that does not exist yet")],
    as_json: JsonFlag = False,
) -> None:
    """备份 Write every table and object into a new folder; the market may go on running."""
    with opened() as house, bar("备份 Backup", as_json=as_json) as step:
        try:
            manifest = backup.back_up(house.database, house.objects, folder, step)
        except FileExistsError:
            taken = Words("文件夹已存在。", "The folder exists already.")
            raise FileRefused(taken, path=str(folder)) from None
    rows = sum(table["rows"] for table in manifest["tables"].values())
    say(
        as_json,
        f"已备份 Backed up: {len(manifest['tables'])} tables, {rows} rows, {manifest['objects']} objects → {folder}",
        folder=str(folder),
        taken_at=manifest["taken_at"],
        tables=len(manifest["tables"]),
        rows=rows,
        objects=manifest["objects"],
        object_bytes=manifest["object_bytes"],
    )


def restore(
    folder: Annotated[Path, typer.Argument(help="备份文件夹 a folder written by `shugang backup`")],
    as_json: JsonFlag = False,
) -> None:
    """恢复 Read a backup into an empty database; paid serving stays shut until `shugang reconcile` agrees."""
    shut = 0
    with opened(schema=False) as house, bar("恢复 Restore", as_json=as_json) as step:
        house.migrate()
        manifest = backup.read_manifest(folder)

        def shut_gates(unit: Unit) -> None:
            nonlocal shut
            shut = restoring.shut_after_restore(
                unit, taken_at=manifest["taken_at"], tables=len(manifest["tables"])
            )

        backup.restore(house.database, house.objects, folder, step, then=shut_gates)
        keys = _keys_open(house)
    lines = [
        f"已恢复 Restored the state of {manifest['taken_at']}; 已关闭闸门 gates shut: {shut}",
        "请运行 `shugang reconcile`，无差异后恢复服务。Run `shugang reconcile`: paid serving opens when nothing differs.",
    ]
    if not keys:
        lines.append(
            "⚠ 密钥与备份时不同：请设置原来的 SHUGANG_SECRET_KEY 与 SHUGANG_METERING__MASTER_KEY。"
            "The keys are not those of the backup: set the SHUGANG_SECRET_KEY and SHUGANG_METERING__MASTER_KEY of then."
        )
    say(as_json, "\n".join(lines), taken_at=manifest["taken_at"], gates_shut=shut, keys_open=keys)


def _keys_open(house: House) -> bool:
    """Whether the secrets of the environment open what was sealed when the backup was taken."""
    try:
        require_keys(house.store, house.settings.metering)
        with house.store.view() as view:
            known = keyring.trusted_keys(view)
        if known:
            house.document_key()
    except (SettingsRefused, RuntimeError):
        return False
    return True


def reconcile_all(as_json: JsonFlag = False) -> None:
    """对账 Compare money, counted usage, gates, licenses and the journal; after a restore, open the gates again."""
    with opened() as house:
        with bar("对账 Reconcile", as_json=as_json) as step, house.store.snapshot() as view:
            found = reconcile.differences(view, lambda done, of: step(str(done), of))
        chain = journal.verify_stored(house.store)
        reopened: list[str] = []
        if not found and chain.ok:
            with house.store.unit("system:reconcile") as unit:
                reopened = restoring.reopen_after_restore(unit)
    rows = [{"check": d.check, "subject": d.subject, "expected": d.expected, "found": d.found} for d in found]
    if not chain.ok:
        rows.append(
            {
                "check": "journal.chain",
                "subject": f"entry:{chain.entry}",
                "expected": "unbroken",
                "found": f"seq {chain.broken_at}: {chain.reason}",
            }
        )
    lines = [
        f"✗ {row['check']}  {row['subject']}: 应为 expected {row['expected']}, 实为 found {row['found']}"
        for row in rows
    ]
    lines.append(
        f"共 {len(rows)} 处差异 {len(rows)} differences"
        if rows
        else f"账目一致 Everything agrees: {chain.entries} journal entries; 重新开闸 gates reopened: {len(reopened)}"
    )
    say(as_json, "\n".join(lines), ok=not rows, differences=rows, entries=chain.entries, reopened=reopened)
    if rows:
        raise typer.Exit(1)


def journal_head(
    as_json: JsonFlag = False,
    sign_now: Annotated[
        bool, typer.Option("--sign", help="尚未签署时先签署昨日 sign yesterday first")
    ] = False,
) -> None:
    """每日链尾 Print the last signed head, to be kept outside this machine."""
    with opened() as house:
        if sign_now:
            journal.seal(house.store)
            sign_head(house)
        with house.store.view() as view:
            found = audit.signed_heads(view, 1)
    document = found[0].document if found else None
    say(as_json, json.dumps(document, ensure_ascii=False, indent=1), head=document)


def close(
    period: Annotated[str, typer.Argument(help="账期 YYYY-MM a month that is over")],
    by: Annotated[str, typer.Option(help="财务人员的登录名 login of the finance user in whose name")],
    as_json: JsonFlag = False,
) -> None:
    """关账 Invoice the usage of a month and close it for good, in the name of a finance user."""
    with opened() as house:
        with house.store.view() as view:
            actor = actor_by_login(view, by.strip().lower(), Permission.PERIOD_CLOSE)
        settings = house.settings.billing
        with bar("关账 Close", as_json=as_json) as step:
            counted = closing.count_month(house.store, period, settings, lambda done, of: step(str(done), of))
        with house.store.unit(actor.id, actor.org) as unit:
            row = closing.close_month(unit, actor, period, settings, counted)
            invoices, gross_fen = row.invoices, row.gross_fen
    say(
        as_json,
        f"已关账 Closed {period}: {invoices} invoices, {gross_fen} fen",
        period=period,
        invoices=invoices,
        gross_fen=gross_fen,
    )


def purge(
    kind: Annotated[RecordKind, typer.Argument(help="记录类别 kind of record")],
    before: Annotated[
        datetime | None, typer.Option(help="早于此日 ended before this day; empty is the chosen term")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """到期清除 Remove records past their term; refuses within the legal one, and what is on hold."""
    with opened() as house:
        zone = ZoneInfo(house.settings.timezone)
        limit = before.replace(tzinfo=zone) if before else purgeable_before(kind, clock.now())
        with house.store.unit("system:cli") as unit:
            gone = records.purge(unit, kind, before=limit.astimezone(UTC))
    counted = ", ".join(f"{name} {count}" for name, count in gone.items())
    say(as_json, f"已清除 Purged {kind}: {counted}", kind=str(kind), **gone)


def erase(
    login: Annotated[str, typer.Argument(help="要删除的人员邮箱 login of the person to forget")],
    by: Annotated[str, typer.Option(help="平台管理员的登录名 login of the platform administrator")],
    reason: Annotated[str, typer.Option(help="理由 reason, such as the request and its date")],
    as_json: JsonFlag = False,
) -> None:
    """删除个人信息 Forget a person on request; trade records keep a number without a name."""
    with opened() as house:
        with house.store.view() as view:
            actor = actor_by_login(view, by, Permission.USER_KEEP)
            person = user_by_login(view, login)
        if person is None:
            raise NotFound(login=login)
        with house.store.unit(actor.id, actor.org) as unit:
            gone = records.erase_person(unit, actor, person.id, reason=reason)
    kept = {str(each.kind): each.count for each in gone.kept}
    text = (
        f"已删除 Erased {gone.person}: memberships {gone.memberships}, mails {gone.mails}, "
        f"credentials {gone.credentials}; 依法保留 kept by law: {kept}"
    )
    say(
        as_json,
        text,
        person=gone.person,
        memberships=gone.memberships,
        mails=gone.mails,
        credentials=gone.credentials,
        kept=kept,
    )
