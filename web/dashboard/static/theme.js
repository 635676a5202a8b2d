// Before anything is drawn: the theme that was chosen here. Without a choice the system's holds.
(() => {
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
})();
