"""The keys that sign tokens: show, rotate and drop them; every gateway follows within seconds."""

from typing import Annotated

import typer

from market.cli.opening import opened
from market.cli.terminal import JsonFlag, say
from metering.keys import REFRESH_SECONDS, Seal, described, drop_key, rotate_keys, token_keys
from storage.kernel.problem import invalid

ACTOR = "system:cli"


def list_keys(as_json: JsonFlag = False) -> None:
    """列出令牌密钥 The keys that sign tokens, newest first: next, current, retired or dropped."""
    with opened() as house, house.store.view() as view:
        rows = [described(row) for row in token_keys(view)]
    lines = [
        f"{row['kid']}  {row['state_words']['zh']} {row['state_words']['en']}  {row['made_at']}"
        + (f" → {row['ended_at']}" if row["ended_at"] else "")
        for row in rows
    ]
    say(as_json, "\n".join(lines) or "尚无令牌密钥 There are no token keys yet.", keys=rows)


def rotate(as_json: JsonFlag = False) -> None:
    """轮换令牌密钥 The announced key signs from now on; tokens signed before stay good."""
    with opened() as house:
        seal = Seal(house.settings.metering)
        with house.store.unit(ACTOR) as unit:
            row = rotate_keys(unit, seal)
    say(as_json, f"已轮换，现用密钥 Rotated; signing with {row.kid}", **described(row))


def drop(
    kid: Annotated[str, typer.Argument(help="密钥标识 the key, from `shugang keys list`")],
    reason: Annotated[str, typer.Option(help="吊销原因，记入流水 why, for the journal")] = "",
    as_json: JsonFlag = False,
) -> None:
    """紧急吊销令牌密钥 Trust a leaked key no more: every token it signed ends."""
    if not 4 <= len(reason.strip()) <= 500:
        raise invalid("--reason", "length", "请写明原因，4 至 500 字。", "Say why, in 4 to 500 characters.")
    with opened() as house:
        seal = Seal(house.settings.metering)
        with house.store.unit(ACTOR) as unit:
            row = drop_key(unit, seal, kid, reason=reason.strip())
    seconds = int(REFRESH_SECONDS)
    text = f"已吊销，各网关 {seconds} 秒内生效 Dropped; every gateway follows within {seconds} seconds: {kid}"
    say(as_json, text, **described(row), within_seconds=seconds)
