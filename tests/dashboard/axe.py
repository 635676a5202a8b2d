"""axe-core, which looks for what keeps people from using a page: https://github.com/dequelabs/axe-core."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.stack import ROOT

AXE = ROOT / "tests/js/node_modules/axe-core/axe.min.js"
HOW = "axe-core is needed (npm ci --prefix tests/js)"
GRAVE = ("serious", "critical")
RUN = """
async (rules) => {
  const options = rules ? { runOnly: { type: "rule", values: rules } } : {};
  const { violations } = await axe.run(document, { ...options, resultTypes: ["violations"] });
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
    """What is grave on this page as it stands: everything in light, and what colours can spoil in dark.

    The source is evaluated, since the pages' policy allows no script of others.
    """
    page.evaluate(SETTLED)
    page.evaluate(AXE.read_text())
    found = page.evaluate(RUN, None)
    page.emulate_media(color_scheme="dark")
    page.evaluate(SETTLED)
    found += [
        {**one, "theme": "dark"} for one in page.evaluate(RUN, ["color-contrast", "link-in-text-block"])
    ]
    page.emulate_media(color_scheme="light")
    return [one for one in found if one["impact"] in GRAVE]
