"""What each process of `make run` sees of the environment: the settings that it needs, and no others. Pure.

Whoever gets at one process, or at a file that it leaves when it crashes, then has that one's secrets at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from core.config import Settings

SYSTEM = (
    *("PATH", "HOME", "USER", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_*"),
    *("PYTHON*", "SSL_CERT_*"),
)
SEALING = ("LLM_ENCRYPTION_KEY", "LLM_ENCRYPTION_KEYS_OLD")
MANAGED = ("MANAGED_LLM_*",)
STORES = ("MONGODB_URI", "REDIS_URL")
FILES = ("AWS_*", "*_PROXY")
"""What boto3's usual chain reads. Providers are called through PROVIDER_PROXY alone."""
SECRET = ("ADMIN_API_KEY", *SEALING, *MANAGED, *STORES)
PLAIN = tuple(
    name for name in map(str.upper, Settings.model_fields) if not any(fnmatchcase(name, s) for s in SECRET)
)

NEEDED: dict[str, tuple[str, ...]] = {
    "valkey": (),
    "mongodb": (),
    "sandbox": ("PORT",),
    "web": (*PLAIN, *STORES, *SEALING, *MANAGED, *FILES, "ADMIN_API_KEY", "WEB_CONCURRENCY"),
    "chat": (*PLAIN, *STORES, *SEALING, *MANAGED, *FILES),
    "isolation": (*PLAIN, *STORES, *SEALING, *MANAGED, *FILES),
    "drive": (*PLAIN, *STORES, *SEALING, *FILES),
    "runtime": (*PLAIN, *STORES, *SEALING, *FILES),
    "scheduler": (*PLAIN, *STORES, *SEALING),
}
"""By program. A name may stand for several: `AWS_*`. Small letters do as well, as in settings."""


def kept(program: str, names: Iterable[str]) -> list[str]:
    """Those of these variables that a program needs. One that is not in the table is given no secret."""
    patterns = SYSTEM + NEEDED.get(program, PLAIN)
    return sorted(name for name in names if any(fnmatchcase(name.upper(), pattern) for pattern in patterns))
