// The log of an agent's process: its last lines, then those that come. It is cut at MOST lines.
(() => {
  const MOST = 5000;
  const log = document.getElementById("log");
  if (!log) return;
  const follow = document.getElementById("follow");
  const silent = document.getElementById("log-silent");
  let waiting = [];

  // Lines that came together are drawn together.
  function draw() {
    const lines = document.createDocumentFragment();
    for (const text of waiting) {
      const line = document.createElement("span");
      line.textContent = `${text}\n`;
      lines.append(line);
    }
    waiting = [];
    log.append(lines);
    while (log.childElementCount > MOST) log.firstElementChild.remove();
    if (follow.checked) log.scrollTop = log.scrollHeight;
  }

  log.addEventListener("scroll", () => {
    follow.checked = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  });
  follow.addEventListener("change", () => { if (follow.checked) log.scrollTop = log.scrollHeight; });
  document.addEventListener("stream", (event) => {
    const stream = event.detail;
    stream.addEventListener("ready", () => { log.replaceChildren(); silent.hidden = true; });
    stream.addEventListener("silent", () => { silent.hidden = false; });
    stream.addEventListener("line", (line) => {
      if (!waiting.length) requestAnimationFrame(draw);
      waiting.push(JSON.parse(line.data));
    });
  });
})();
