"""Settings: the only reader of the environment. Every setting of every process is a field here."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import from_json
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.outbound.openings import openings


class Settings(BaseSettings):
    """What an operator may set, each by an environment variable of the same name in capitals.

    Durations are seconds, sizes bytes, unless the name says otherwise.
    """

    model_config = SettingsConfigDict(
        extra="ignore", env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    app_env: Literal["development", "production"] = "development"
    host: str = "127.0.0.1"
    port: int = Field(default=3001, ge=1, le=65532)
    data_dir: Path = Path(".data")
    start_within_s: float = Field(default=90, gt=0, description="`make run` gives up when not all answers")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    admin_api_key: SecretStr | None = None
    llm_encryption_key: SecretStr | None = None
    llm_encryption_keys_old: SecretStr | None = Field(
        default=None, description="earlier keys, separated by commas: they open, they no longer seal"
    )

    managed_llm_key: SecretStr | None = Field(default=None, description="the key of MANAGED_LLM_PROVIDER")
    managed_llm_provider: str | None = None
    managed_llm_keys: Annotated[dict[str, SecretStr], NoDecode] = Field(
        default={}, description='a managed key for each of several providers: {"openai": "sk-…"}'
    )
    managed_llm_urls: Annotated[dict[str, str], NoDecode] = Field(
        default={}, description='managed calls go here, not to the vendor: {"minimax": "https://…/v1"}'
    )

    max_body_bytes: int = Field(default=10 * 2**20, gt=0, description="the largest JSON body")
    body_timeout_s: float = Field(default=20, gt=0, description="a request body must have arrived by then")
    failed_logins_per_minute: int = Field(default=60, ge=1, description="wrong keys from one address")
    cors_origins: str = Field(default="", description="origins a browser may call from, by commas; * for any")
    trusted_proxies: int = Field(default=0, ge=0, description="how many proxies set X-Forwarded-For")

    mongodb_uri: str | None = Field(
        default=None, repr=False, description="unset: the embedded server on PORT + 2"
    )
    mongodb_database: str = "vutler"
    store_answers_within_s: float = Field(default=0.7, gt=0, description="or a request is told 503")
    redis_url: str | None = Field(
        default=None, repr=False, description="unset: the embedded server on PORT + 1"
    )

    lease_s: float = Field(default=15, gt=0, description="a worker process silent for this long is dead")
    beat_s: float = Field(default=5, gt=0, description="how often a worker process renews its lease")
    worker_host: str = Field(
        default_factory=socket.gethostname,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="the name of this host, as queues by host and GET /workers have it",
    )
    worker_grace_s: float = Field(default=20, ge=0, description="what SIGTERM leaves running jobs")
    job_retention_days: int = Field(default=40, ge=1, description="finished jobs are deleted after")
    content_retention: str = Field(
        default="7",
        pattern=r"^(none|done|\d{1,4})$",
        description="prompts and outputs go: none = within a minute, done = in an hour, N = in N days",
    )
    custom_endpoint_allow: str = Field(
        default="",
        description="addresses beside the public ones that users may name: 127.0.0.1:11434,10.0.0.0/8",
    )
    provider_proxy: str | None = Field(
        default=None, repr=False, description="the only proxy that is ever used"
    )
    provider_ca_bundle: Path | None = Field(
        default=None, description="certificates to trust instead of the public ones, as a PEM file"
    )
    connect_timeout_s: float = Field(default=5, gt=0)
    first_token_timeout_s: float = Field(default=120, gt=0, description="of a streamed answer")
    between_tokens_timeout_s: float = Field(default=120, gt=0)
    answer_timeout_s: float = Field(default=240, gt=0, description="an answer not streamed is there by then")
    provider_answer_bytes: int = Field(
        default=4_000_000, gt=0, description="a longer answer is cut off; with its request it is one document"
    )
    unknown_window_tokens: int = Field(
        default=16_384, gt=0, description="the context window of a model that no public table knows"
    )
    job_timeout_s: float = Field(default=600, gt=0, description="a job that takes longer has failed")

    @field_validator("custom_endpoint_allow")
    @classmethod
    def _can_be_read(cls, allow: str) -> str:
        openings(allow)
        return allow

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

    @property
    def production(self) -> bool:
        return self.app_env == "production"

    @property
    def embedded_store(self) -> bool:
        """Is the store the embedded one, which bears less than a real MongoDB?"""
        return self.mongodb_uri is None

    @property
    def redis_address(self) -> str:
        """The Redis to use: the one that was given, or the embedded one."""
        return self.redis_url or f"redis://127.0.0.1:{self.port + 1}/0"

    @property
    def mongodb_address(self) -> str:
        """The MongoDB to use: the one that was given, or the embedded one.

        The embedded server slows down without end under retryWrites (529 to 71 operations a second in
        three minutes); writes that may be lost are repeated by `core.store.repeat` either way.
        """
        embedded = f"mongodb://127.0.0.1:{self.port + 2}/?directConnection=true&retryWrites=false"
        return self.mongodb_uri or embedded

    @property
    def sandbox_url(self) -> str:
        """Where `make run` keeps the sandbox provider: a demo without a key, on PORT + 3."""
        return f"http://127.0.0.1:{self.port + 3}/v1"


def first_error(error: ValidationError) -> str:
    """What is wrong with the environment, in one line that does not show the value: `PORT: …`."""
    first = error.errors()[0]
    return f"{str(first['loc'][0]).upper()}: {first['msg'].removeprefix('Value error, ')}"
