"""The limits and lifetimes of the counted door."""

import base64
import os
import secrets
from pathlib import Path

from pydantic import BaseModel, Field, SecretStr


class MeteringSettings(BaseModel, frozen=True):
    """Tokens, till, query pages and fair use. Times in seconds unless the name says otherwise."""

    master_key: SecretStr = Field(
        SecretStr(""),
        description="32 bytes in base64 that seal the token keys; empty means a file under the data folder.",
    )
    token_seconds: int = Field(3600, ge=60, le=86_400, description="Life of an access token.")
    key_days: int = Field(
        0, ge=0, le=3650, description="Rotate the token keys every so many days; 0 leaves it to you."
    )
    ticket_start_seconds: int = Field(120, ge=5, description="A download starts within this time.")
    resume_hours: int = Field(
        24, ge=1, le=168, description="A charge is repeated and resumed free this long."
    )
    older_secret_hours: int = Field(
        72, ge=0, description="After a rotation the older secret works this long."
    )
    till_batch: int = Field(512, ge=1, le=4096, description="Charges settled in one commit at most.")
    till_gather_ms: int = Field(
        2, ge=0, le=50, description="Longest wait for a fuller batch; none when idle."
    )
    till_queue: int = Field(4096, ge=1, description="Charges waiting at most; then 503.")
    page_rows: int = Field(1000, ge=1, le=100_000, description="Rows of one page at most.")
    default_rows: int = Field(100, ge=0, description="Rows of one page when `limit` is absent.")
    page_bytes: int = Field(8 * 2**20, ge=1024, description="One page at most, about; it ends early.")
    query_ms: int = Field(5000, ge=1, description="Longest time one row query may take, in milliseconds.")
    light_query_ms: int = Field(
        100,
        ge=1,
        description="A query that an index does not answer in these milliseconds goes to the slow ones.",
    )
    query_threads: int = Field(8, ge=1, le=64, description="Light row queries at the same time.")
    file_threads: int = Field(
        16, ge=1, le=256, description="Reads of files and of providers' long answers at the same time."
    )
    slow_queries: int = Field(
        2,
        ge=1,
        le=64,
        description="Row queries without an index, and first uses of a serving copy, at the same time.",
    )
    slow_queue: int = Field(16, ge=1, description="Slow queries waiting at most; then 503.")
    serving_bytes: int = Field(
        20 * 2**30, ge=0, description="Disk for serving copies fetched from an object store."
    )
    page_cache_bytes: int = Field(64 * 2**20, ge=0, description="Memory for pages that were read before.")
    hand_off_seconds: int = Field(
        0,
        ge=0,
        le=60,
        description="Life of an S3 address a paid download is handed to; 0 sends files ourselves.",
    )
    paid_per_minute: int = Field(60_000, ge=1, description="Burst limit of one credential.")
    open_per_minute: int = Field(
        600,
        ge=1,
        description="Fair use of open data, and of the token doors, by one IPv4 address or IPv6 /64.",
    )
    upstream_plain_http: bool = Field(
        default=False,
        description="Allow http:// addresses of providers' APIs; the secret then travels openly.",
    )
    upstream_private_hosts: tuple[str, ...] = Field(
        (), description="Host names of providers' APIs that may lie on private or loopback addresses."
    )
    upstream_seconds: int = Field(60, ge=1, le=300, description="Longest time one provider call may take.")
    upstream_bytes: int = Field(
        64 * 2**20, ge=1024, le=2**30, description="Largest answer of a provider's API, in bytes."
    )
    upstream_held_bytes: int = Field(
        256 * 1024, ge=1024, description="Bytes of an answer kept in memory; a longer one waits on the disk."
    )
    upstream_waiting_bytes: int = Field(
        4 * 2**30, ge=0, description="Disk for answers of providers' APIs that buyers have not read yet."
    )
    upstream_judged_bytes: int = Field(
        4 * 2**20, ge=1024, description="Largest answer that is judged to be a hit or not."
    )
    upstream_request_bytes: int = Field(
        2**20, ge=0, description="Largest body of a request to a provider's API."
    )
    upstream_parallel: int = Field(64, ge=1, description="Calls to one provider's API at the same time.")
    upstream_share: int = Field(32, ge=1, description="Calls under one license at the same time.")
    breaker_failures: int = Field(5, ge=1, description="Failures in a row after which an upstream rests.")
    breaker_seconds: float = Field(30.0, gt=0, description="How long it rests before it is tried once.")
    repeats_per_minute: int = Field(
        60, ge=10, description="How often one purchase of a provider call is repeated free; a tenth at once."
    )
    repeats_per_purchase: int = Field(
        50, ge=1, description="How often it is repeated at all, within RESUME_HOURS, by one process."
    )
    surge_times: int = Field(
        10, ge=2, description="An hour with so many times the usual calls or rows of a license is noted."
    )
    surge_floor_calls: int = Field(100, ge=1, description="Usual calls of an hour are never taken as fewer.")
    surge_floor_rows: int = Field(1000, ge=1, description="Usual rows of an hour are never taken as fewer.")
    night_percent: int = Field(
        80,
        ge=1,
        le=100,
        description="A day with this share of its rows, calls or bytes between 0 and 6 o'clock is noted.",
    )
    night_floor_rows: int = Field(10_000, ge=1, description="Fewer rows at night are not noted.")
    night_floor_calls: int = Field(1000, ge=1, description="Fewer calls at night are not noted.")
    night_floor_bytes: int = Field(256 * 2**20, ge=1, description="Fewer bytes at night are not noted.")
    probing_refusals: int = Field(
        50,
        ge=1,
        description="So many refusals of one credential in an hour, of what it may not have, are noted.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Networks whose X-Forwarded-For is believed, e.g. 10.0.0.0/8."
    )

    def resolved(self, data_dir: Path) -> "MeteringSettings":
        """The same settings with a master key, made once and kept in `data_dir` when none is given."""
        if self.master_key.get_secret_value():
            return self
        path = data_dir / "master.key"
        if not path.exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            draft = data_dir / f"master.key.{secrets.token_hex(4)}"
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(base64.b64encode(secrets.token_bytes(32)).decode())
            try:
                path.hardlink_to(draft)  # of two first starts one wins, and both read the winner's key
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return self.model_copy(update={"master_key": SecretStr(path.read_text(encoding="ascii").strip())})
