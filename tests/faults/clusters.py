"""Databases that may be broken: a durable PostgreSQL of our own to stop and start, and a disk to fill."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from storage.kernel.ids import new_id
from tests import servers


class Cluster:
    """PostgreSQL on a Unix socket, with everything that makes a commit durable switched on."""

    def __init__(self, folder: Path) -> None:
        """`folder` must be open to other users all the way: pytest's own are closed at every start of it."""
        binaries, user = servers.find_postgres()
        self.folder = folder
        self._prefix: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(folder, user)
            self._prefix = ["runuser", "-u", user, "--"]
        self._control = [*self._prefix, str(binaries / "pg_ctl"), "-D", f"{folder}/data", "-w", "-t", "60"]
        initdb = [
            *self._prefix,
            str(binaries / "initdb"),
            "-D",
            f"{folder}/data",
            "-U",
            "postgres",
            "-A",
            "trust",
        ]
        self._do([*initdb, "-E", "UTF8", "--lc-collate=C", "--lc-ctype=C.UTF-8", "--no-sync"])
        self.start()

    def _do(self, command: list[str]) -> None:
        subprocess.run(command, check=True, **servers.QUIET)

    def start(self) -> None:
        """Raises CalledProcessError when it does not come up."""
        options = (
            f"-k {self.folder} -c listen_addresses='' -c max_connections=200 -c max_wal_size=64MB "
            "-c min_wal_size=32MB"
        )
        self._do([*self._control, "-l", f"{self.folder}/log", "-o", options, "start"])

    def stop(self, mode: str) -> None:
        """mode: fast or immediate (no checkpoint: it recovers from its log)."""
        with contextlib.suppress(subprocess.CalledProcessError):  # a full disk may have ended it already
            self._do([*self._control, "-m", mode, "stop"])

    @property
    def socket(self) -> str:
        """The path of its Unix socket."""
        return f"{self.folder}/.s.PGSQL.5432"

    def database(self) -> str:
        """The URL of a new database."""
        name = new_id("faults")
        engine = sa.create_engine(f"postgresql+psycopg://postgres@/postgres?host={self.folder}")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        engine.dispose()
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"


@contextlib.contextmanager
def own_cluster() -> Iterator[Cluster]:
    """A cluster in a folder of its own, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="shugang-faults-", dir=servers.DISK))
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A tmpfs of so many megabytes. Raises CannotStart when this user may not mount one."""
    folder = Path(tempfile.mkdtemp(prefix="shugang-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise servers.CannotStart(f"a small tmpfs: mounting needs root ({error})") from None
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)
        folder.rmdir()


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leave not a byte on the disk inside the block."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()
