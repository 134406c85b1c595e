"""`shugang` as an operator runs it: what it prints, in two languages or as JSON, and how it exits."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc.jwk import OKPKey
from sqlmodel import col
from typer.testing import CliRunner

from contracts import keyring
from contracts.rules import LicenseState
from contracts.signatures import Acceptance, sign
from contracts.templates import content_hash
from market.billing.queries import issued_invoice
from market.billing.signatures import signed_file
from market.cli import main
from market.cli.program import COMMANDS, Group, cli
from market.house import House
from market.identity.rules import OrgKind, Role
from market.registry import certificates
from market.settings import Settings
from metering.keys import Seal, ensure_keys
from metering.merkle import merkle_root
from metering.statements import issue_statement
from metering.tables import Gate, TokenKey, UsageEvent
from metering.words import Kind
from storage import journal
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.numbers import make_uscc, with_check
from storage.settings import StorageSettings
from tests import people, servers
from tests.house.planting import Planter
from tests.market.billing.deals import issue, licensed, usual_deal

ROOT = Path(__file__).resolve().parents[2]
BEGAN = datetime(2026, 1, 5, tzinfo=UTC)


Desk = tuple[pytest.MonkeyPatch, pytest.CaptureFixture[str]]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs the command with the settings of one house, in this process: starting Python takes seconds."""

    def __init__(self, url: str, folder: Path, desk: Desk) -> None:
        self.url, self.folder, self.desk = url, folder, desk

    def at(self, url: str, folder: Path) -> "Shell":
        """The same command over another database and folder."""
        return Shell(url, folder, self.desk)

    def __call__(self, *arguments: str | Path, **settings: str) -> Ran:
        given = {
            "DATA_DIR": str(self.folder / "var"),
            "STORAGE__DATABASE_URL": self.url,
            "STORAGE__OBJECTS_URL": f"file://{self.folder}/objects",
            **settings,
        }
        patch, captured = self.desk
        with patch.context() as changed:
            for name in [name for name in os.environ if name.startswith("SHUGANG_")]:
                changed.delenv(name)
            for name, value in given.items():
                changed.setenv(f"SHUGANG_{name}", value)
            changed.setenv("COLUMNS", "200")
            changed.setattr(sys, "argv", ["shugang", *map(str, arguments)])
            captured.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = captured.readouterr()
        return Ran(int(ended.value.code or 0), out, err)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    return monkeypatch, capsys


@pytest.fixture
def shell(house: House, tmp_path: Path, desk: Desk) -> Shell:
    return Shell(house.database.url.render_as_string(hide_password=False), tmp_path, desk)


@pytest.fixture
def plain(tmp_path: Path, desk: Desk) -> Shell:
    """No database at all: what is verified needs none."""
    return Shell("sqlite:////nowhere/at/all.db", tmp_path, desk)


# ------------------------------------------------------------------ verify


def contract(tmp_path: Path) -> tuple[dict[str, Any], Path]:
    key = OKPKey.generate_key("Ed25519", {"kid": "witness-1"})
    content = {"number": "HT-1", "terms": {"seller": {"id": "pty_a"}, "buyer": {"id": "pty_b"}}}
    at, hashed = datetime(2026, 1, 2, tzinfo=UTC), content_hash(content)
    accepted = [
        Acceptance("seller", "pty_a", "usr_a", at, hashed),
        Acceptance("buyer", "pty_b", "usr_b", at, hashed),
    ]
    keys = tmp_path / "keys.json"
    public = key.as_dict(private=False) | {"kid": "witness-1", "made_at": at.isoformat(), "ended_at": None}
    keys.write_text(json.dumps({"keys": [public]}))
    return sign(content, accepted, key, at=at), keys


def test_a_contract_is_verified_with_given_keys_only(plain: Shell, tmp_path: Path) -> None:
    document, keys = contract(tmp_path)
    file = tmp_path / "contract.json"
    file.write_text(json.dumps(document, ensure_ascii=False))
    good = plain("verify", "contract", file, "--keys", keys)
    assert good.code == 0, good.err
    assert good.out.count("✓") == 5
    assert "The contract is genuine" in good.out
    file.write_text(json.dumps(document | {"content": document["content"] | {"number": "HT-2"}}))
    changed = plain("verify", "contract", file, "--keys", keys, "--json")
    assert changed.code == 1
    assert [c["check"] for c in changed.data["checks"] if not c["passed"]] == ["content"]
    keys.write_text('{"keys": []}')
    file.write_text(json.dumps(document))
    unknown = plain("verify", "contract", file, "--keys", keys, "--json").data
    assert [c["check"] for c in unknown["checks"] if not c["passed"]] == ["key", "signature"]
    assert plain("verify", "contract", file).code == 2  # keys are never taken from the file


def statement_file(house: House, folder: Path, events: int = 3) -> tuple[Path, Path, dict[str, Any]]:
    """A statement as the market issues it, and the keys to trust."""
    period = "2026-10"
    row = {
        "license_id": "lic_1", "product_id": "prd_1", "credential_id": "cli_1", "purpose": "自用",
        "kind": Kind.ROWS, "calls": 1, "rows": 3, "bytes": 9, "amount_fen": 2, "fingerprint": b"f",
        "period": period, "at": BEGAN,
    }  # fmt: skip
    with house.store.unit("system:test") as unit:
        rows = [row | {"id": number.to_bytes(16, "big")} for number in range(events)]
        unit.session.execute(sa.insert(UsageEvent), rows)
        unit.record("usage.planted", "license:lic_1")
    file, keys = folder / "statement.json", folder / "keys.json"
    key = house.document_key()
    with house.store.snapshot() as view:
        issued = issue_statement(view, "lic_1", period, key=key, zone="Asia/Shanghai")
        keys.write_text(json.dumps({"keys": keyring.trusted_keys(view)}))
    file.write_bytes(b"".join(issued.parts()))
    issued.close()
    return file, keys, json.loads(file.read_text())


def test_a_statement_is_verified_with_given_keys_and_the_invoices_root(
    house: House, plain: Shell, tmp_path: Path
) -> None:
    file, keys, document = statement_file(house, tmp_path)
    good = plain("verify", "statement", file, "--keys", keys, "--root", document["root"].upper())
    assert good.code == 0, good.out
    assert good.out.count("✓") == 9
    assert "The statement is genuine: lic_1 2026-10, 3 条 events" in good.out
    assert "not compared" not in good.out
    told = plain("verify", "statement", file, "--keys", keys, "--json")
    assert (told.code, told.data["ok"], told.data["reason"]) == (0, True, None)
    assert (told.data["license"], told.data["period"], told.data["count"]) == ("lic_1", "2026-10", 3)
    assert (
        "未与发票核对 not compared with an invoice" in plain("verify", "statement", file, "--keys", keys).out
    )
    for root in ("0" * 64, ""):  # an empty variable of a script is no invoice
        other = plain("verify", "statement", file, "--keys", keys, "--root", root, "--json")
        assert (other.code, [c["check"] for c in other.data["checks"] if not c["passed"]][-1]) == (
            1,
            "invoice",
        )
    assert plain("verify", "statement", file).code == 2  # keys are never taken from the file


def test_a_statement_that_was_changed_or_made_up_does_not_hold(
    house: House, plain: Shell, tmp_path: Path
) -> None:
    file, keys, document = statement_file(house, tmp_path)

    def verified(changed: dict[str, Any], *more: str | Path) -> Any:
        file.write_text(json.dumps(changed))
        run = plain("verify", "statement", file, "--keys", keys, "--json", *more)
        assert run.code == 1, run.out
        return run.data

    totals = document["totals"] | {"amount_fen": 1}
    for change in ({"license": "lic_2"}, {"period": "2026-09"}, {"totals": totals}, {"issued_at": "2026"}):
        assert not verified(document | change, "--root", document["root"])["checks"][-1]["passed"]
    lines = [dict(line) for line in document["events"]]
    lines[1]["amount_fen"] = 5
    named = verified(document | {"events": lines})
    assert named["altered"] == [lines[1]["charge_id"]]
    assert named["reason"] == f"lines: altered: {lines[1]['charge_id']}"
    text = plain("verify", "statement", file, "--keys", keys).out
    assert f"✗ 被改动 altered: {lines[1]['charge_id']}" in text
    assert "对账单未通过核验 The statement does not hold" in text
    made_up = {
        "format": "shugang-usage-statement/1", "license": "lic_1", "period": "2026-10", "count": 0,
        "totals": dict.fromkeys(totals, 0), "root": merkle_root([]), "events": [],
    }  # fmt: skip
    assert "unknown format" in verified(made_up, "--root", merkle_root([]))["reason"]
    own = OKPKey.generate_key("Ed25519", auto_kid=True)
    with house.store.snapshot() as view:
        issued = issue_statement(view, "lic_1", "2026-10", key=own, zone="Asia/Shanghai")
    forged = json.loads(b"".join(issued.parts()))
    issued.close()
    assert [c["check"] for c in verified(forged)["checks"] if not c["passed"]] == ["key", "signature"]


def test_the_journal_is_verified_in_place_and_as_export(house: House, shell: Shell, tmp_path: Path) -> None:
    for number in range(3):
        with house.store.unit("usr_1") as unit:
            unit.record("thing.made", f"thing:{number}")
    journal.seal(house.store)
    assert shell("verify", "journal", "--json").data["entries"] == 3
    rows = list(journal.sealed_rows(house.store))
    file = tmp_path / "journal.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert shell("verify", "journal", file).code == 0
    rows[1]["actor"] = "usr_2"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    broken = shell("verify", "journal", file, "--json")
    assert (broken.code, broken.data["broken_at"]) == (1, 2)


def test_the_journal_is_exported_with_signed_heads_and_checked_with_keys(
    house: House, shell: Shell, tmp_path: Path
) -> None:
    for number in range(3):
        with house.store.unit("usr_1") as unit:
            unit.record("thing.made", f"thing:{number}")
    assert shell("journal", "head", "--json").data == {"head": None}
    head = shell("journal", "head", "--sign", "--json").data["head"]
    assert head["format"] == "shugang-journal-head/1"
    file, keys = tmp_path / "journal.ndjson", tmp_path / "keys.json"
    keys.write_text(shell("keys", "export").out)
    assert shell("journal", "export", file, "--json").data["lines"] >= 5
    good = shell("verify", "journal", file, "--keys", keys, "--json")
    assert (good.code, good.data["heads"], good.data["signatures_checked"]) == (0, 1, True)
    assert shell("verify", "journal", "--json").data["heads"] == 1
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0].replace(head["day"], "2020-01-01"), *lines[1:]]))
    bad = shell("verify", "journal", file, "--keys", keys, "--json")
    assert (bad.code, bad.data["head_of"]) == (1, "2020-01-01")
    file.write_text("\n".join([lines[0], "not an entry", *lines[1:]]))
    assert "第 2 行" in shell("verify", "journal", file).out + shell("verify", "journal", file).err


def test_purging_and_erasing_from_the_command_line(house: House, shell: Shell) -> None:
    operator = people.organization(house.store, OrgKind.MARKET_OPERATOR, "青岛数港运营有限公司")
    people.person(house.store, operator, "adm@x.cn", Role.PLATFORM_ADMIN, Role.ORG_ADMIN)
    people.person(house.store, operator, "gone@x.cn", Role.APPROVER)
    done = shell("user", "erase", "gone@x.cn", "--by", "adm@x.cn", "--reason", "本人申请删除", "--json")
    assert (done.code, done.data["memberships"], done.data["kept"]) == (0, 1, {"trade": 0})
    assert shell("user", "erase", "gone@x.cn", "--by", "adm@x.cn", "--reason", "本人申请删除").code == 1
    assert shell("purge", "access", "--json").data["mails"] == 0
    early = shell("purge", "trade", "--before", "2026-01-01", "--json")
    assert (early.code, early.data["type"]) == (1, "/problems/term-runs")
    assert (
        shell("purge", "voucher", "--before", "1980-01-01", "--json").data["type"] == "/problems/not-purged"
    )


def test_keys_are_exported_without_their_private_half(house: House, shell: Shell) -> None:
    kid = house.document_key().kid
    text = shell("keys", "export")
    (key,) = json.loads(text.out)["keys"]
    assert key["kid"] == kid
    assert "d" not in key
    assert shell("keys", "export", "--json").data["keys"] == [key]


def test_token_keys_are_listed_rotated_and_dropped(house: House, shell: Shell) -> None:
    assert shell("keys", "list", "--json").data == {"keys": []}
    ensure_keys(house.store, Seal(house.settings.metering))
    fresh = shell("keys", "rotate", "--json")
    assert (fresh.code, fresh.data["type"]) == (1, "/problems/key-not-announced")
    with house.store.unit("system:test") as unit:
        aged = {"made_at": BEGAN}
        unit.session.execute(sa.update(TokenKey).values(**aged))
        unit.record("token_key.aged", "token_key:all")
    signing = shell("keys", "rotate", "--json").data
    assert signing["state"] == "current"
    assert shell("keys", "drop", signing["kid"]).code == 1  # without a reason
    dropped = shell("keys", "drop", signing["kid"], "--reason", "私钥泄露", "--json").data
    assert (dropped["state"], dropped["within_seconds"]) == ("dropped", 5)
    for nobody in ("nobody", "-nobody"):
        assert shell("keys", "drop", nobody, "--reason", "私钥泄露", "--json").data["status"] == 404
    keys = shell("keys", "list", "--json").data["keys"]
    assert sorted(key["state"] for key in keys) == ["current", "dropped", "next", "retired"]
    assert "已吊销 Dropped" in shell("keys", "list").out
    with house.store.view() as view:
        (entry,) = view.session.scalars(sa.select(Entry).where(col(Entry.kind) == "token_key.dropped"))
    assert (entry.actor, entry.data["reason"]) == ("system:cli", "私钥泄露")


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("command", "settings", "says"),
    [
        (["worker"], {}, "SHUGANG_BROKER_URL"),
        (["verify", "statement", "absent.json", "--keys", "absent.json"], {}, "absent.json"),
        (["reconcile"], {"MODE": "production"}, "SHUGANG_SECRET_KEY"),
        (["reconcile"], {"PORT": "many"}, "SHUGANG_PORT"),
        (["reconcile"], {"STORAGE__OBJECTS_URL": "s3://nothing"}, "expected s3://"),
        (["reconcile"], {"STORAGE__DATABASE_URL": "postgresql+psycopg://u@127.0.0.1:9/x"}, "DATABASE_URL"),
        (["gateway"], {"METERING__MASTER_KEY": "c2hvcnQ="}, "32 bytes"),
        (["close", "2026-01", "--by", "nobody@example.com"], {}, "nobody@example.com"),
        (["user", "create", "a@b.example"], {}, "--admin"),
        (["restore", "absent"], {}, "manifest.json"),
    ],
)
def test_a_refusal_speaks_both_languages_and_exits_with_one(
    plain: Shell,
    tmp_path: Path,
    sqlite_template: Path,
    command: list[str],
    settings: dict[str, str],
    says: str,
) -> None:
    database = tmp_path / "market.db"
    database.write_bytes(sqlite_template.read_bytes())
    shell = plain.at(f"sqlite:///{database}", tmp_path)
    run = shell(*command, **settings)
    assert run.code == 1
    assert says in run.err
    assert any("\u4e00" <= letter <= "\u9fff" for letter in run.err)
    told = shell(*command, "--json", **settings)
    assert told.code == 1
    assert told.data["titles"].keys() == {"zh", "en"}
    assert says in told.out


def test_a_taken_port_is_said_in_one_line(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        run = shell("gateway", PORT=str(taken.getsockname()[1]))
    assert run.code == 1
    assert "SHUGANG_PORT" in run.err


def test_a_database_without_schema_is_not_served(plain: Shell, tmp_path: Path) -> None:
    run = plain.at(f"sqlite:///{tmp_path}/new.db", tmp_path)("gateway", "--json")
    assert run.code == 1
    assert run.data["type"] == "/problems/schema-outdated"


@pytest.mark.parametrize("command", ["serve", "gateway", "worker", "backup", "restore", "reconcile", "close"])
def test_help_is_bilingual_and_every_command_speaks_json(plain: Shell, command: str) -> None:
    text = plain(command, "--help").out
    assert "--json" in text
    assert any("\u4e00" <= letter <= "\u9fff" for letter in text)


# ------------------------------------------------------------------ reconcile, back up, restore


def served(house: House) -> dict[str, str]:
    """Two licenses with their gates: one active and open, one revoked and shut. Returns their ids."""
    owner = people.organization(house.store, OrgKind.ENTERPRISE, "青岛甲方数据有限公司")
    member = people.person(house.store, owner, "owner@first.example", Role.BUYER)
    ids = {}
    for state in (LicenseState.ACTIVE, LicenseState.REVOKED):
        planter = Planter(house.store, owner.id, member.user.id)
        ids[str(state)] = license_id = planter.id_of("license", state=state, serve_from=BEGAN)
        planter.id_of("gate", license_id=license_id, in_force=state is LicenseState.ACTIVE)
    journal.seal(house.store)
    return ids


def gates(house: House) -> dict[str, tuple[bool, str | None]]:
    with house.store.view() as view:
        rows = view.session.scalars(sa.select(Gate)).all()
        return {row.license_id: (row.in_force, row.shut_reason) for row in rows}


def test_reconcile_names_what_differs(house: House, shell: Shell) -> None:
    ids = served(house)
    assert shell("reconcile", "--json").data == {
        "ok": True,
        "differences": [],
        "entries": journal.verify_stored(house.store).entries,
        "reopened": [],
    }
    with house.store.unit("system:test") as unit:
        unit.session.execute(sa.update(Gate).values(in_force=~col(Gate.in_force), used_calls=7))
        unit.record("gates.confused", "test:1")
    journal.seal(house.store)
    run = shell("reconcile", "--json")
    assert run.code == 1
    found = {(row["check"], row["subject"]) for row in run.data["differences"]}
    assert found == {
        ("gate.shut", f"license:{ids['active']}"),
        ("gate.open", f"license:{ids['revoked']}"),
        ("usage.gate.calls", f"license:{ids['active']}"),
        ("usage.gate.calls", f"license:{ids['revoked']}"),
    }
    assert "应为 expected" in shell("reconcile").out


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A second, empty database without schema."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/second.db"
    make: Callable[[], str] = request.getfixturevalue("empty_postgres")
    return make()


@pytest.fixture
def empty_postgres(postgres_url: str) -> Callable[[], str]:
    def make() -> str:
        name = f"second_{os.urandom(6).hex()}"
        engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return sa.make_url(postgres_url).set(database=name).render_as_string(hide_password=False)

    return make


def test_a_restored_market_serves_nothing_until_it_agrees(
    house: House, shell: Shell, tmp_path: Path, empty_url: str
) -> None:
    ids = served(house)
    kid = house.document_key().kid
    stored = house.objects.put_bytes(b"content")
    assert shell("backup", tmp_path / "copy", "--json").data["tables"] >= 40
    again = shell("backup", tmp_path / "copy")
    assert again.code == 1
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    second = shell.at(empty_url, elsewhere)
    secret = house.secret
    restored = second("restore", tmp_path / "copy", "--json", SECRET_KEY=secret)
    assert restored.data["gates_shut"] == 1
    assert restored.data["keys_open"] is True
    assert stored.sha256
    settings = Settings(
        data_dir=elsewhere / "var",
        secret_key=secret,
        storage=StorageSettings(database_url=empty_url, objects_url=f"file://{elsewhere}/objects"),
    )
    other = House(settings)
    assert other.document_key().kid == kid
    assert gates(other) == {ids["active"]: (False, "restored"), ids["revoked"]: (False, None)}
    with other.store.view() as view:
        entry = view.session.scalars(
            sa.select(journal.Entry).where(col(journal.Entry.kind) == "backup.restored")
        ).one()
        assert entry.data["shut"] == 1
    # A difference keeps everything shut.
    with other.store.unit("system:test") as unit:
        unit.session.execute(sa.update(Gate).values(used_calls=1))
        unit.record("gates.confused", "test:1")
    assert second("reconcile", "--json", SECRET_KEY=secret).data["reopened"] == []
    with other.store.unit("system:test") as unit:
        unit.session.execute(sa.update(Gate).values(used_calls=0))
        unit.record("gates.cleared", "test:1")
    agreed = second("reconcile", "--json", SECRET_KEY=secret)
    assert agreed.data["reopened"] == [ids["active"]], agreed.out
    assert gates(other) == {ids["active"]: (True, None), ids["revoked"]: (False, None)}
    journal.seal(other.store)
    assert journal.verify_stored(other.store).ok
    refused = second("restore", tmp_path / "copy", "--json", SECRET_KEY=secret)
    assert refused.data["type"] == "/problems/not-empty"
    wrong = second("keys", "export", "--json", SECRET_KEY="another key of thirty-two characters")
    assert wrong.code == 0
    other.close()


def test_other_keys_after_a_restore_are_said(house: House, shell: Shell, tmp_path: Path) -> None:
    house.document_key()
    shell("backup", tmp_path / "copy")
    (tmp_path / "elsewhere").mkdir()
    second = shell.at(f"sqlite:///{tmp_path}/second.db", tmp_path / "elsewhere")
    told = second("restore", tmp_path / "copy", SECRET_KEY="another key of thirty-two characters")
    assert told.code == 0
    assert "SHUGANG_SECRET_KEY" in told.out


# ------------------------------------------------------------------ processes, figures


def test_the_gateway_runs_alone(house: House, shell: Shell) -> None:
    port = servers.free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("SHUGANG_")} | {
        "SHUGANG_DATA_DIR": str(shell.folder / "var"),
        "SHUGANG_STORAGE__DATABASE_URL": shell.url,
        "SHUGANG_PORT": str(port),
    }
    process = subprocess.Popen([sys.executable, "-m", "market.cli", "gateway"], cwd=ROOT, env=env)
    try:
        assert servers.wait_for(f"http://127.0.0.1:{port}/healthz", process, seconds=60)
        assert servers.wait_for(f"http://127.0.0.1:{port}/.well-known/jwks.json", process, seconds=10)
    finally:
        process.terminate()
        assert process.wait(20) in {0, -15}


def imported_by(*command: str) -> set[str]:
    """What a process holds that was asked for this command."""
    program = (
        f"import sys; from market.cli.program import cli; cli({[*command, '--help']}, standalone_mode=False)"
    )
    said = subprocess.run(
        [sys.executable, "-c", f"{program}; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(said.stdout.splitlines()[-1].split())


def test_neither_a_gateway_nor_a_check_holds_the_market() -> None:
    heavy = {"market.house", "market.app", "market.worker", "fastapi", "celery", "stripe", "duckdb"}
    checks = COMMANDS["verify"]
    assert isinstance(checks, Group)
    places = {place.module: ("verify", name) for name, place in checks.commands.items()}
    for module, command in [*places.items(), ("data_plane", ("gateway",))]:
        held = imported_by(*command)
        assert f"market.cli.{module}" in held
        assert not held & heavy
    assert heavy <= imported_by("serve")


def test_every_command_is_where_the_program_says() -> None:
    for name, found in COMMANDS.items():
        words = [[name, each] for each in found.commands] if isinstance(found, Group) else [[name]]
        for command in words:
            told = CliRunner().invoke(cli, [*command, "--help"])
            assert (told.exit_code, " ".join(command) in told.output) == (0, True), told.output
    told = CliRunner().invoke(cli, ["gatway"])
    assert (told.exit_code, "Did you mean 'gateway'?" in told.output) == (2, True)


def test_a_snapshot_sees_one_moment(house: House) -> None:
    with house.store.snapshot() as view:
        first = view.session.scalars(sa.select(journal.Entry)).all()
        with house.store.unit("usr_1") as unit:
            unit.record("thing.made", "thing:1")
        assert view.session.scalars(sa.select(journal.Entry)).all() == first


def test_a_directory_is_imported_in_the_name_of_its_keeper(
    house: House, shell: Shell, tmp_path: Path
) -> None:
    keeper = people.organization(house.store, OrgKind.REGISTRAR, "青岛市数据登记中心")
    people.person(house.store, keeper, "desk@registrar.example", Role.REGISTRAR)
    code = make_uscc("11370200MB2846751")
    file = tmp_path / "目录.csv"
    head = "信息资源代码,信息资源名称,提供方,提供方代码,共享类型,是否向社会开放\n"
    file.write_text(head + f"j-1,停车场目录,交通局,{code},1,是\nj-2,坏行,交通局,1,1,是\n", encoding="gb18030")
    told = shell("import", file, "--by", "desk@registrar.example", "--json")
    assert (told.code, told.data["created"], told.data["refused"], told.data["ok"]) == (1, 1, 1, False)
    assert [row["outcome"] for row in told.data["report"]] == ["created", "refused"]
    again = shell("import", file, "--by", "desk@registrar.example")
    assert "未变 Unchanged 1" in again.out
    assert "第 3 行 row 3 j-2" in again.out
    assert shell("import", tmp_path / "none.csv", "--by", "desk@registrar.example", "--json").code == 1
    assert shell("import", file, "--by", "nobody@registrar.example", "--json").data["status"] == 404


def test_an_invoice_is_verified_offline_and_a_changed_sum_fails(
    house: House, shell: Shell, tmp_path: Path
) -> None:
    licensed(house.store, "lic_1")
    issued = issue(house.store, usual_deal())
    house.pulse.beat()
    with house.store.view() as view:
        document = signed_file(issued_invoice(view, issued.id))
    file, keys = tmp_path / "invoice.json", tmp_path / "keys.json"
    file.write_text(json.dumps(document))
    keys.write_text(shell("keys", "export").out)
    genuine = shell("verify", "invoice", file, "--keys", keys)
    assert genuine.code == 0, genuine.out
    for said in ("The invoice is genuine", issued.number, "¥212.00", "usage root " + "aa" * 32):
        assert said in genuine.out
    file.write_text(json.dumps(document).replace("20000", "20001"))
    false = shell("verify", "invoice", file, "--keys", keys, "--json")
    assert (false.code, false.data["ok"], false.data["number"]) == (1, False, None)
    failed = [check["check"] for check in false.data["checks"] if not check["passed"]]
    assert failed == ["content", "totals", "signature"]
    assert "does not hold" in shell("verify", "invoice", keys, "--keys", keys).out


def test_a_certificate_is_verified_offline_and_a_flipped_byte_fails(
    house: House, shell: Shell, tmp_path: Path
) -> None:
    content = {"number": with_check("SG-370200-R-2026-000001"), "name": {"zh": "停车", "en": "Parking"}}
    document = certificates.sign(content, house.document_key(), at=clock.now())
    file, keys = tmp_path / "certificate.json", tmp_path / "keys.json"
    file.write_text(json.dumps(document))
    keys.write_text(shell("keys", "export").out)
    genuine = shell("verify", "certificate", file, "--keys", keys)
    assert (genuine.code, "凭证真实" in genuine.out) == (0, True)
    file.write_text(json.dumps(document).replace("Parking", "Parkinh"))
    false = shell("verify", "certificate", file, "--keys", keys, "--json")
    assert (false.code, false.data["ok"]) == (1, False)
    assert [check["check"] for check in false.data["checks"] if not check["passed"]] == ["content"]
