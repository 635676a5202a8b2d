"""What the pages use of other people's work: `make vendor` fetches it from npm's registry into its folder.

Another version is another row: its number, and the digest that https://registry.npmjs.org/NAME/VERSION tells.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import requests

FOLDER = Path(__file__).parent / "static" / "vendor"
REGISTRY = "https://registry.npmjs.org"
TIMEOUT_S = 120


@dataclass(frozen=True)
class Package:
    """A package of npm. `sha512`: of its archive, as the registry tells it. `files`: which, and as what."""

    name: str
    version: str
    license: str
    sha512: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{REGISTRY}/{self.name}/-/{self.name.rpartition('/')[2]}-{self.version}.tgz"


HTMX = Package(
    "htmx.org",
    "4.0.1",
    "0BSD",
    "oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg==",
    {
        "dist/htmx.min.js": "htmx.min.js",
        "dist/ext/hx-csp.min.js": "hx-csp.min.js",
        "LICENSE": "htmx.LICENSE",
    },
)
UPLOT = Package(
    "uplot",
    "1.6.32",
    "MIT",
    "KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
    {
        "dist/uPlot.iife.min.js": "uplot.min.js",
        "dist/uPlot.min.css": "uplot.min.css",
        "LICENSE": "uplot.LICENSE",
    },
)
INTER = Package(
    "@fontsource-variable/inter",
    "5.3.0",
    "OFL-1.1",
    "OupL48va4JNofb97w6NYeF9S7W/kHNKM0Er8Dem5nqi4jeOLrVJDoE8tZEpnMJmtkvNbB1EIPPwHcdkF6b1oUA==",
    {"files/inter-latin-wght-normal.woff2": "inter.woff2", "LICENSE": "inter.LICENSE"},
)
TABLER = Package(
    "@tabler/icons",
    "3.52.0",
    "MIT",
    "dldKlJNfO/gZnGLcIY0X2EFFKIMGwL/rEvTqglvBgAPFiwj9pZOCN5V3Sf0Gyjq6foX4VQmLdOmsS4w5FdWKAw==",
    {"LICENSE": "tabler-icons.LICENSE"},
)
PACKAGES = (HTMX, UPLOT, INTER, TABLER)

ICONS = """
activity adjustments-horizontal alert-circle alert-triangle arrow-back-up arrow-left arrow-right ban bell
bolt book building calendar chart-bar check chevron-down chevron-left chevron-right chevron-up circle-check
circle-dashed circle-x clock code coins copy cpu device-desktop dots download edit external-link eye eye-off
file filter folder gauge git-branch heartbeat history hourglass info-circle key keyboard layout-dashboard
list-details loader-2 lock logout menu-2 message minus moon paperclip photo player-pause player-play player-
play-filled player-stop plug-connected plus refresh robot rotate-clockwise route search send server settings
shield-check stack-2 sun terminal-2 tool trash upload users webhook x
"""
"""The icons of the sprite, by Tabler's names; `-filled` is its other style."""

OUTLINE = (
    'fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round"'
)
FILLED = 'fill="currentColor"'
NO_BOX = '<path stroke="none" d="M0 0h24v24H0z" fill="none"/>'
MAP = re.compile(rb"\n?//# sourceMappingURL=.*\n?")


def main(folder: Path = FOLDER) -> None:
    """Fetch all of it. Raises `OSError` when the registry is away, `ValueError` for what differs."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        with opened(package) as archive:
            for inside, name in package.files.items():
                # A map would be asked for by every browser whose tools are open, and is not here.
                (folder / name).write_bytes(MAP.sub(b"\n", read(archive, inside)))
            if package is TABLER:
                (folder / "icons.svg").write_text(sprite(archive))
        print(f"{package.name} {package.version} ({package.license})")


def opened(package: Package) -> tarfile.TarFile:
    """A package's archive, as it was when its digest was written down."""
    answer = requests.get(package.url, timeout=TIMEOUT_S)
    answer.raise_for_status()
    if base64.b64encode(hashlib.sha512(answer.content).digest()).decode() != package.sha512:
        raise ValueError(f"{package.url} is not what it was")
    return tarfile.open(fileobj=io.BytesIO(answer.content), mode="r:gz")


def read(archive: tarfile.TarFile, inside: str) -> bytes:
    """A file of a package."""
    found = archive.extractfile(f"package/{inside}")
    if found is None:
        raise ValueError(f"{inside} is no file")
    return found.read()


def sprite(archive: tarfile.TarFile) -> str:
    """All icons in one file; a page shows one by `<use href="…#name">`."""
    symbols = "\n".join(_symbol(archive, name) for name in sorted(ICONS.split()))
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{symbols}\n</svg>\n'


def _symbol(archive: tarfile.TarFile, name: str) -> str:
    plain = name.removesuffix("-filled")
    style, look = ("outline", OUTLINE) if plain == name else ("filled", FILLED)
    drawn = read(archive, f"icons/{style}/{plain}.svg").decode()
    inner = drawn[drawn.index(">", drawn.index("<svg")) + 1 : drawn.rindex("</svg>")]
    inner = re.sub(r"\s*\n\s*", "", inner).strip().replace(" />", "/>").replace(NO_BOX, "")
    return f'<symbol id="{name}" viewBox="0 0 24 24" {look}>{inner}</symbol>'


if __name__ == "__main__":
    main()
