"""Where things are kept, and the limits the ground floor enforces."""

from pathlib import Path

from pydantic import BaseModel, Field

from storage.kernel.words import Worded


class Durability(Worded):
    """落盘方式. Where a commit is before anybody is answered."""

    LOCAL = "local", "数据库本机磁盘", "the disk of the database"
    STANDBY = (
        "standby",
        "数据库本机与同步备库的磁盘",
        "the disks of the database and of a synchronous standby",
    )


class StorageSettings(BaseModel, frozen=True):
    """Database and object store. URLs hold secrets: they are never logged or shown."""

    database_url: str = Field(
        "",
        description="SQLAlchemy URL; empty means SQLite under the data folder. postgresql://… uses psycopg 3.",
    )
    objects_url: str = Field(
        "",
        description="file:///… or s3://key:secret@host:port/bucket; empty means a folder under the data folder.",
    )
    pool_size: int = Field(10, ge=2, le=200, description="Database connections one process keeps.")
    standby: bool = Field(
        default=False,
        description="Refuse a PostgreSQL that commits without a synchronous standby (synchronous_standby_names).",
    )
    orphan_hours: int = Field(
        24, ge=1, description="Objects nobody refers to are swept after this many hours."
    )

    @property
    def durability(self) -> Durability:
        """What a commit waits for."""
        return Durability.STANDBY if self.standby else Durability.LOCAL

    def resolved(self, data_dir: Path) -> "StorageSettings":
        """The same settings with the empty URLs pointing into `data_dir`."""
        return self.model_copy(
            update={
                "database_url": self.database_url or f"sqlite:///{data_dir.resolve()}/market.db",
                "objects_url": self.objects_url or f"file://{data_dir.resolve()}/objects",
            }
        )
