"""Settings: the only reader of the environment. Every setting of every process is a field here."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import from_json
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.outbound.openings import openings
from core.private_files import read_private

EMBEDDED_USER = "vutler"
"""The embedded MongoDB's one user."""


class Settings(BaseSettings):
    """What an operator may set, each by an environment variable of the same name in capitals.

    Durations are seconds, sizes bytes, unless the name says otherwise.
    """

    model_config = SettingsConfigDict(
        extra="ignore", env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    app_env: Literal["development", "production"] = Field(
        default="development",
        description="`production`: logs are JSON lines, and secrets that could be guessed are refused",
    )
    host: str = Field(default="127.0.0.1", description="the address that the API listens on")
    port: int = Field(
        default=3001,
        ge=1,
        le=65532,
        description="the API's port; `make run` uses the three after it for Redis, MongoDB and the sandbox",
    )
    data_dir: Path = Field(
        default=Path(".data"), description="where `make run` keeps data, logs, and the secrets that it made"
    )
    start_within_s: float = Field(
        default=90, gt=0, description="`make run` gives up when not everything answers by then"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least important events that are logged"
    )

    admin_api_key: SecretStr | None = Field(
        default=None,
        description="the first admin key, in place of DATA_DIR/admin.key; a new value ends the one before",
    )
    llm_encryption_key: SecretStr | None = Field(
        default=None,
        description="seals provider keys, in place of DATA_DIR/secret.key: 32 bytes as base64 or hex",
    )
    llm_encryption_keys_old: SecretStr | None = Field(
        default=None, description="earlier encryption keys, by commas: they open, and no longer seal"
    )

    managed_llm_key: SecretStr | None = Field(
        default=None, description="your key for the managed tiers, at MANAGED_LLM_PROVIDER"
    )
    managed_llm_provider: str | None = Field(default=None, description="the provider of MANAGED_LLM_KEY")
    managed_llm_keys: Annotated[dict[str, SecretStr], NoDecode] = Field(
        default={}, description='your keys at several providers, as JSON: `{"openai": "sk-…"}`'
    )
    managed_llm_urls: Annotated[dict[str, str], NoDecode] = Field(
        default={},
        description='where managed calls go instead of the vendor, as JSON: `{"minimax": "https://…/v1"}`',
    )

    max_body_bytes: int = Field(
        default=10 * 2**20, gt=0, description="a request with a larger body is refused (413)"
    )
    body_timeout_s: float = Field(
        default=20, gt=0, description="a request whose body has not come by then is refused (408)"
    )
    failed_logins_per_minute: int = Field(
        default=60, ge=1, description="an address that sends more wrong keys is told to wait (429)"
    )
    cors_origins: str = Field(
        default="", description="the origins that a browser may call from, by commas; `*`: any"
    )
    trusted_proxies: int = Field(
        default=0, ge=0, description="how many proxies in front of the API set X-Forwarded-For"
    )

    mongodb_uri: str | None = Field(
        default=None, repr=False, description="your MongoDB; unset: the embedded server on PORT + 2"
    )
    mongodb_database: str = Field(default="vutler", description="the name of the database")
    store_answers_within_s: float = Field(
        default=0.7, gt=0, description="a request is told 503 when MongoDB has not answered by then"
    )
    redis_url: str | None = Field(
        default=None, repr=False, description="your Redis; unset: the embedded server on PORT + 1"
    )

    lease_s: float = Field(
        default=15, gt=0, description="a worker process that is silent for so long is dead"
    )
    beat_s: float = Field(default=5, gt=0, description="how often a worker process renews its lease")
    worker_host: str = Field(
        default_factory=socket.gethostname,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="the name of this host, as queues by host and GET /workers have it",
    )
    worker_grace_s: float = Field(
        default=20, ge=0, description="how long running jobs may go on after SIGTERM"
    )
    job_timeout_s: float = Field(
        default=600, gt=0, description="a job that takes longer has failed, with all its tries"
    )
    job_retention_days: int = Field(default=40, ge=1, description="finished jobs are kept for so long")
    content_retention: str = Field(
        default="7d",
        pattern=r"^(none|done|\d{1,4}d?)$",
        description="prompts and outputs go in a minute (`none`), an hour (`done`), or so many days (`7d`)",
    )

    custom_endpoint_allow: str = Field(
        default="",
        description="what users may name beside public addresses, by commas: `127.0.0.1:11434,10.0.0.0/8`",
    )
    provider_proxy: str | None = Field(
        default=None, repr=False, description="the proxy for calls to vendors' own addresses"
    )
    provider_ca_bundle: Path | None = Field(
        default=None, description="a PEM file with the certificates to trust in place of the public ones"
    )
    connect_timeout_s: float = Field(default=5, gt=0, description="a provider must be connected to by then")
    first_token_timeout_s: float = Field(
        default=120, gt=0, description="a streamed answer must have begun by then"
    )
    between_tokens_timeout_s: float = Field(
        default=120, gt=0, description="the longest pause within an answer"
    )
    answer_timeout_s: float = Field(
        default=240, gt=0, description="an answer that is not streamed must be there by then"
    )
    provider_answer_bytes: int = Field(
        default=4_000_000, gt=0, description="a longer answer is cut off; with its request it is one document"
    )
    unknown_window_tokens: int = Field(
        default=16_384, gt=0, description="the context window of a model that no public table knows"
    )

    openclaw_path: Path | None = Field(
        default=None, description="the agents' program; unset: what `make openclaw` installed in DATA_DIR"
    )
    runtime_capacity: int | None = Field(
        default=None,
        ge=0,
        description="how many agents this host runs; unset: as many as its memory takes at 1.2 GB each",
    )
    runtime_poll_seconds: float = Field(
        default=15, gt=0, description="how often agents' processes, and the hosts, are looked at"
    )
    runtime_ready_seconds: float = Field(
        default=120, gt=0, description="an agent's process must answer by then, or its start has failed"
    )
    runtime_stop_grace: float = Field(
        default=120, ge=0, description="how long a turn may go on after a stop; then the process is killed"
    )
    runtime_memory_mb: int = Field(
        default=2000,
        gt=0,
        description="an agent that uses more is restarted when it is idle; with half as much again, at once",
    )
    runtime_give_up_after: int = Field(
        default=5, ge=1, description="after so many failures in a row an agent is not started again"
    )
    runtime_ports: str = Field(default="18900-19899", description="the ports of agents, on loopback")
    runtime_wrapper: str = Field(
        default="", description="a command to put in front of each agent's: see [runtime.md](runtime.md)"
    )
    runtime_direct: bool = Field(
        default=False,
        description="agents call providers by themselves, with the keys in their environment, unmetered",
    )
    runtime_door_url: str | None = Field(
        default=None, description="where agents find the API's `/v1`; unset: HOST and PORT of this host"
    )
    drive_storage: Literal["local", "s3"] = Field(
        default="local", description="where files are kept: in a folder (`local`) or a bucket (`s3`)"
    )
    drive_storage_path: Path | None = Field(
        default=None, description="the folder of the local storage; unset: DATA_DIR/drive"
    )
    drive_s3_bucket: str | None = Field(
        default=None, description="the bucket; its credentials come by boto3's usual chain"
    )
    drive_s3_endpoint: str | None = Field(
        default=None, description="the address of an S3 server that is not AWS: `https://minio.example:9000`"
    )
    drive_s3_region: str = Field(default="us-east-1", description="the bucket's region; R2 wants `auto`")
    drive_presign: bool = Field(
        default=False, description="downloads are sent to the bucket itself, by links of two minutes"
    )
    drive_max_file_size: int = Field(default=52_428_800, gt=0, description="the largest file, in bytes (413)")
    drive_quota: int | None = Field(
        default=None, ge=0, description="bytes that a workspace's files may have; unset: any number"
    )
    drive_staging_s: float = Field(
        default=3600, gt=0, description="what a dead upload left behind is removed after"
    )

    @field_validator("custom_endpoint_allow")
    @classmethod
    def _can_be_read(cls, allow: str) -> str:
        openings(allow)
        return allow

    @field_validator("runtime_ports")
    @classmethod
    def _are_ports(cls, given: str) -> str:
        """Raises `ValueError` for what is no range of ports above 1023."""
        first, _, last = given.partition("-")
        if not (first.isdecimal() and last.isdecimal() and 1023 < int(first) <= int(last) <= 65535):
            raise ValueError("must be a range of ports above 1023, such as 18900-19899")
        return given

    @field_validator("managed_llm_keys", "managed_llm_urls", mode="before")
    @classmethod
    def _by_provider(cls, given: Any) -> Any:
        """Read here, not by the library: its error would quote what it cannot read."""
        if not isinstance(given, str):
            return given
        try:
            return from_json(given)
        except ValueError:
            raise ValueError("must be a JSON object, from provider to text") from None

    @model_validator(mode="after")
    def _knows_its_bucket(self) -> Settings:
        if self.drive_storage == "s3" and not self.drive_s3_bucket:
            raise ValueError("DRIVE_STORAGE=s3 needs DRIVE_S3_BUCKET")
        return self

    def host_of(self, role: str) -> str:
        """The host whose queues a process of this role takes from. A bucket is on none, so on any of them."""
        return "s3" if role == "drive" and self.drive_storage == "s3" else self.worker_host

    @property
    def drive_folder(self) -> Path:
        """Where the local storage keeps files."""
        return self.drive_storage_path or self.data_dir / "drive"

    @property
    def production(self) -> bool:
        return self.app_env == "production"

    @property
    def embedded_store(self) -> bool:
        """Is the store the embedded one, which bears less than a real MongoDB?"""
        return self.mongodb_uri is None

    @property
    def redis_address(self) -> str:
        """The Redis to use: the one that was given, or the embedded one. Raises as `password_of` does."""
        return self.redis_url or f"redis://:{self.password_of('valkey')}@127.0.0.1:{self.port + 1}/0"

    @property
    def mongodb_address(self) -> str:
        """The MongoDB to use: the one that was given, or the embedded one. Raises as `password_of` does.

        The embedded server slows down without end under retryWrites (529 to 71 operations a second in
        three minutes); writes that may be lost are repeated by `core.store.repeat` either way.
        """
        if self.mongodb_uri is not None:
            return self.mongodb_uri
        user = f"{EMBEDDED_USER}:{self.password_of('mongodb')}"
        return f"mongodb://{user}@127.0.0.1:{self.port + 2}/?directConnection=true&retryWrites=false"

    def password_file(self, store: str) -> Path:
        """Where the password of an embedded store is kept: `valkey`, `mongodb`."""
        return self.data_dir / f"{store}.password"

    def password_of(self, store: str) -> str:
        """Raises `NotPrivate`; `FileNotFoundError` before the first start of `make run`."""
        return read_private(self.password_file(store))

    @property
    def sandbox_url(self) -> str:
        """Where `make run` keeps the sandbox provider: a demo without a key, on PORT + 3."""
        return f"http://127.0.0.1:{self.port + 3}/v1"


def first_error(error: ValidationError) -> str:
    """What is wrong with the environment, in one line that does not show the value: `PORT: …`."""
    first = error.errors()[0]
    return f"{str(first['loc'][0]).upper()}: {first['msg'].removeprefix('Value error, ')}"
