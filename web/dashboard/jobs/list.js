// Picking jobs: how many, and what may be done to them.
(() => {
  const picks = () => [...document.querySelectorAll("[data-pick]")];

  function show() {
    const picked = picks().filter((box) => box.checked).length;
    const bar = document.querySelector("[data-picked]");
    if (!bar) return;
    bar.hidden = picked === 0;
    bar.querySelector("[data-picked-count]").textContent = `${picked} picked`;
    const all = document.querySelector("[data-pick-all]");
    if (all) all.checked = picked > 0 && picked === picks().length;
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-pick-all]")) {
      for (const box of picks()) box.checked = event.target.checked;
    }
    if (event.target.matches("[data-pick], [data-pick-all]")) show();
  });
  document.addEventListener("htmx:after:swap", show);
  show();
})();
