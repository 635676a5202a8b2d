// What every page does: theme, keys, times that go on, texts to copy, questions before what cannot be undone.
(() => {
  const THEMES = ["system", "light", "dark"];
  const all = (selector, within = document) => within.querySelectorAll(selector);

  function theme() {
    const button = document.querySelector("[data-theme-button]");
    if (!button) return;
    const show = () => {
      const now = localStorage.getItem("theme") || "system";
      button.dataset.themeButton = now;
      button.title = `Theme: ${now}`;
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      const now = localStorage.getItem("theme") || "system";
      const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
      if (next === "system") {
        localStorage.removeItem("theme");
        delete document.documentElement.dataset.theme;
      } else {
        localStorage.setItem("theme", next);
        document.documentElement.dataset.theme = next;
      }
      show();
      document.dispatchEvent(new Event("theme"));
    });
    show();
  }

  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  function inWords(seconds) {
    const size = Math.abs(seconds);
    if (size < 1) return seconds >= 0 ? "just now" : "now";
    const [unit, name] = UNITS.find(([unit]) => size >= unit);
    const text = `${Math.floor(size / unit)} ${name}`;
    return seconds > 0 ? `${text} ago` : `in ${text}`;
  }

  function times() {
    for (const time of all("time[data-ago]")) {
      const at = new Date(time.dateTime);
      const text = inWords((Date.now() - at) / 1000);
      if (time.textContent !== text) time.textContent = text;
      time.title = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
    }
  }

  function clocks() {
    for (const time of all("time[data-clock]")) {
      const at = new Date(time.dateTime);
      time.textContent = at.toLocaleTimeString(undefined, { hour12: false });
      time.title = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
    }
  }

  function keys() {
    const help = document.getElementById("keys");
    const button = document.querySelector("[data-keys-button]");
    if (button) {
      button.hidden = false;
      button.addEventListener("click", () => help.showModal());
    }
    let before = "";
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      const go = before === "g" && document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
      before = event.key;
      if (go) location.assign(go.href);
      if (event.key === "?") help?.showModal();
      if (event.key === "/") {
        const search = [...all("[data-search]")].find((input) => input.offsetParent);
        if (search) {
          event.preventDefault();
          search.focus();
        }
      }
    });
  }

  function copying() {
    for (const button of all("[data-copy]")) button.hidden = false;
    document.addEventListener("click", async (event) => {
      const button = event.target.closest("[data-copy]");
      if (!button) return;
      await navigator.clipboard.writeText(button.dataset.copy);
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1500);
    });
  }

  function questions() {
    const dialog = document.getElementById("confirm");
    document.addEventListener("htmx:confirm", (event) => {
      const question = event.detail.ctx.confirm;
      if (!question) return;
      event.preventDefault();
      document.getElementById("confirm-text").textContent = question;
      dialog.returnValue = "no";
      dialog.showModal();
      dialog.addEventListener("close", () => {
        if (dialog.returnValue === "yes") event.detail.issueRequest();
        else event.detail.dropRequest();
      }, { once: true });
    });
  }

  // A choice in a form of filters is a new address.
  function filters() {
    for (const form of all("form[data-filters]")) {
      form.addEventListener("change", () => form.requestSubmit());
      form.addEventListener("submit", () => {
        for (const input of form.elements) if (input.value === "") input.disabled = true;
      });
    }
  }

  // What is wrong with a form is told by the label of each field, and the field is marked until it is changed.
  function problems() {
    document.addEventListener("htmx:after:swap", () => {
      for (const place of all("form .problem [data-of]")) {
        const field = place.closest("form").elements[place.dataset.of];
        if (!field?.labels?.length) continue;
        place.textContent = field.labels[0].textContent;
        field.setAttribute("aria-invalid", "true");
      }
    });
    document.addEventListener("input", (event) => event.target.removeAttribute("aria-invalid"));
  }

  window.vutler = { times: () => { times(); clocks(); }, copying: () => all("[data-copy]").forEach((button) => { button.hidden = false; }) };
  theme();
  keys();
  copying();
  questions();
  problems();
  filters();
  times();
  clocks();
  setInterval(times, 10_000);
})();
