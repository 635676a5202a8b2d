// The viewer's time zone goes into a cookie: the server cuts the days by it.
(() => {
  const shown = document.querySelector("[data-zone]")?.dataset.zone;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const known = `vutler_tz=${zone}`;
  if (!zone || shown === zone || document.cookie.split("; ").includes(known)) return;
  document.cookie = `${known}; path=/usage; max-age=31536000; samesite=strict`;
  if (!new URLSearchParams(location.search).has("tz")) location.reload();
})();
