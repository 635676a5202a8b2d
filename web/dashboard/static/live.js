// One stream a page, while the page is seen. A change asks for the live parts again; they stand still
// while the pointer is on them, something in them has the focus, or the window has lost it.
(() => {
  const address = document.body.dataset.stream;
  if (!address) return;
  const LONGEST_MS = 15_000;
  let stream = null;
  let wait = 1000;
  let due = false;
  let again = false;
  let over = false;
  let opening = 0;

  const busy = (part) =>
    part.matches(":hover") || part.matches(":focus-within") || part.querySelector("input:checked[data-pick]");

  function refresh() {
    if (!due || document.hidden || !document.hasFocus()) return;
    const parts = [...document.querySelectorAll("[data-live]")];
    const free = parts.filter((part) => !busy(part));
    due = free.length < parts.length;
    document.body.classList.toggle("held", due);
    for (const part of free) htmx.trigger(part, "live");
  }

  function open() {
    clearTimeout(opening);
    if (stream || over || document.hidden) return;
    stream = new EventSource(address);
    // Whatever happened while there was no stream is asked for once there is one again.
    stream.addEventListener("ready", () => {
      wait = 1000;
      due = due || again;
      again = true;
      refresh();
    });
    stream.addEventListener("change", () => {
      due = true;
      refresh();
    });
    stream.addEventListener("over", () => {
      over = true;
      due = true;
      close();
      refresh();
    });
    stream.addEventListener("signed-out", () => location.reload());
    stream.addEventListener("error", later);
    document.dispatchEvent(new CustomEvent("stream", { detail: stream }));
  }

  // Later and later, but never given up: the server may be starting anew.
  function later() {
    close();
    document.body.classList.add("offline");
    opening = setTimeout(open, wait + Math.random() * 500);
    wait = Math.min(wait * 2, LONGEST_MS);
  }

  function close() {
    stream?.close();
    stream = null;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    due = true;
    open();
    refresh();
  });
  window.addEventListener("focus", refresh);
  window.addEventListener("pagehide", close);
  document.addEventListener("pointerout", () => setTimeout(refresh, 50));
  document.addEventListener("focusout", () => setTimeout(refresh, 50));
  document.addEventListener("stream", (event) => {
    event.detail.addEventListener("open", () => document.body.classList.remove("offline"));
  });
  document.addEventListener("htmx:after:swap", () => {
    vutler.times();
    vutler.copying();
  });
  // The page's own script has run by then, and hears of the first stream too.
  document.addEventListener("DOMContentLoaded", open);
})();
