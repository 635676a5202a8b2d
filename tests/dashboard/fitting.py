"""What does not fit on a narrow page: what hangs out, what is cut, drop-downs with longer choices."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.dashboard.chromium import SIZES

CUT = """
() => {
  const wide = document.documentElement.clientWidth;
  const found = document.documentElement.scrollWidth > wide ? ["the page scrolls sideways"] : [];
  const unseen = "svg *, .unseen, .skip, nav[popover], nav[popover] *";
  const scrolls = (style) => ["auto", "scroll"].includes(style.overflowX);
  const inOne = (element) => element && (scrolls(getComputedStyle(element)) || inOne(element.parentElement));
  const needs = (select) => {
    const changes = { width: "max-content", "max-width": "none", flex: "none" };
    for (const [name, value] of Object.entries(changes)) select.style.setProperty(name, value, "important");
    const width = select.offsetWidth;
    for (const name in changes) select.style.removeProperty(name);
    return width;
  };
  const wrong = (element) => {
    const style = getComputedStyle(element), { left, right } = element.getBoundingClientRect();
    if ((right > wide + 1 || left < -1) && !inOne(element.parentElement)) return "hangs out";
    if (element.localName === "select")
      return needs(element) > element.offsetWidth + 1 && "has longer choices";
    if (element.matches(".scroll, .tabs"))
      return element.scrollWidth > element.clientWidth && "scrolls sideways";
    const ends = style.textOverflow === "ellipsis" || element.localName === "input";
    if (ends || style.display === "inline" || scrolls(style)) return false;
    return element.scrollWidth > element.clientWidth + 1 && "is cut";
  };
  for (const element of document.querySelectorAll("body *")) {
    if (element.matches(unseen) || !element.checkVisibility()) continue;
    const what = wrong(element);
    if (what) found.push(`${what}: ${element.outerHTML.slice(0, 160)}`);
  }
  return found;
}
"""
"""A line may end in an ellipsis; a drop-down cuts its text without one. No table may need to be scrolled."""

LOOKS, LOOK_MS = 20, 250


def cut(page: Page) -> list[str]:
    """What does not fit where it is less wide; the page is left wide."""
    found = []
    for size in ("laptop", "narrow", "wide"):
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        found += too_wide(page) if size != "wide" else []
    return found


def too_wide(page: Page) -> list[str]:
    """What does not fit on the page as wide as it is. Charts are drawn anew a moment after it narrows."""
    found: list[str] = page.evaluate(CUT)
    for _ in range(LOOKS):
        if not found:
            break
        page.wait_for_timeout(LOOK_MS)
        found = page.evaluate(CUT)
    return found
