// Uploads: each file dropped or chosen is a request of its own, with a bar of its own, one after another.
(() => {
  const place = document.querySelector("[data-drop]");
  if (!place) return;
  const files = place.querySelector("[data-files]");
  const list = place.querySelector(".uploads");
  const agent = place.querySelector("[name=upload_agent]");
  let turn = Promise.resolve();
  place.hidden = false;

  // Names of files are only ever set as text.
  function row(file) {
    const item = document.createElement("li");
    const called = document.createElement("span");
    const state = document.createElement("span");
    const bar = document.createElement("progress");
    called.className = "called";
    called.textContent = file.name;
    state.textContent = "waits";
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", `Upload of ${file.name}`);
    item.append(called, state, bar);
    list.append(item);
    return { item, state, bar };
  }

  function said(request) {
    const problem = new DOMParser().parseFromString(request.responseText, "text/html");
    const parts = [...problem.querySelectorAll("strong, p, li")].map((part) => part.textContent.trim());
    return parts.join(": ").replace(/\s+/g, " ") || "no answer";
  }

  function send(file, owner, { item, state, bar }) {
    return new Promise((done) => {
      const body = new FormData();
      if (owner) body.append("agent_id", owner);
      else body.append("visibility", "workspace");
      body.append("file", file);
      const request = new XMLHttpRequest();
      request.open("POST", "/drive/upload");
      request.setRequestHeader("X-CSRF", place.dataset.token);
      request.setRequestHeader("HX-Request", "true");
      request.setRequestHeader("Prefer", "wait=20");
      request.upload.addEventListener("progress", (event) => {
        bar.value = event.total ? event.loaded / event.total : 0;
        state.textContent = bar.value < 1 ? `${Math.floor(bar.value * 100)} %` : "is stored";
      });
      request.addEventListener("loadend", () => {
        const good = request.status >= 200 && request.status < 300;
        bar.value = good ? 1 : 0;
        state.textContent = good ? (request.status === 202 ? "is stored soon" : "done") : said(request);
        state.className = good ? "" : "bad";
        item.dataset.state = good ? "done" : "failed";
        if (good) htmx.trigger(document.getElementById("files"), "live");
        done();
      });
      request.send(body);
    });
  }

  function take(chosen) {
    for (const file of chosen) {
      const shown = row(file);
      const owner = agent.value;
      turn = turn.then(() => send(file, owner, shown));
    }
  }

  place.querySelector("[data-choose]").addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    take([...files.files]);
    files.value = "";
  });
  for (const kind of ["dragenter", "dragover"]) {
    place.addEventListener(kind, (event) => {
      event.preventDefault();
      place.classList.add("over");
    });
  }
  place.addEventListener("dragleave", (event) => {
    if (!place.contains(event.relatedTarget)) place.classList.remove("over");
  });
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    take([...event.dataTransfer.files]);
  });
})();
