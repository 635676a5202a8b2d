"""axe-core, which looks for what keeps people from using a page: https://github.com/dequelabs/axe-core."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.dashboard.chromium import SIZES
from tests.stack import ROOT

AXE = ROOT / "tests/js/node_modules/axe-core/axe.min.js"
HOW = "axe-core is needed (npm ci --prefix tests/js)"
GRAVE = ("serious", "critical")
PASSES = {"light": None, "dark": ["color-contrast", "link-in-text-block"]}
"""The rules of each theme: all in light, and in dark those that colours can spoil."""
RUN = """
async (rules) => {
  const chosen = rules ? { runOnly: { type: "rule", values: rules } } : {};
  const how = { ...chosen, resultTypes: ["violations"], preload: false, iframes: false };
  const { violations } = await axe.run(document, how);
  return violations.flatMap(({ id, impact, nodes }) => nodes.map(({ html, any }) =>
    ({ rule: id, impact, html: html.slice(0, 200), because: any.map(({ message }) => message).join("; ") })));
}
"""
SETTLED = """
async () => {
  await document.fonts.ready;
  for (let n = 0; n < 2; n += 1) await new Promise(requestAnimationFrame);
}
"""


def findings(page: Page) -> list[dict[str, str]]:
    """What is grave on this page as it stands, at both widths and in both themes; it is left wide and light.

    The source is evaluated, since the pages' policy allows no script of others.
    """
    page.evaluate(AXE.read_text())
    found = []
    for size in reversed(SIZES):
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        for theme in reversed(PASSES):
            page.emulate_media(color_scheme=theme)
            page.evaluate(SETTLED)
            found += [{**one, "theme": theme, "size": size} for one in page.evaluate(RUN, PASSES[theme])]
    return [one for one in found if one["impact"] in GRAVE]
