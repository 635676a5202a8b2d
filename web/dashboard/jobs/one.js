// A running job's words as they come, and its events where they are open.
document.addEventListener("stream", (event) => {
  const output = () => document.getElementById("output");
  const list = () => document.querySelector("[data-events][open] ol");

  function told(kind, message) {
    const id = `event-${message.lastEventId}`;
    if (!list() || document.getElementById(id)) return;
    const row = document.createElement("li");
    row.id = id;
    for (const [tag, text] of [["code", message.lastEventId], ["b", kind], ["span", message.data]]) {
      const part = document.createElement(tag);
      part.textContent = text;
      row.append(part);
    }
    list().querySelector(".none")?.remove();
    list().append(row);
    list().scrollTop = list().scrollHeight;
  }

  event.detail.addEventListener("delta", (delta) => {
    const { type, content } = JSON.parse(delta.data);
    if (type === "content" && content && output()) output().append(content);
    told("delta", delta);
  });
  event.detail.addEventListener("restart", (restart) => {
    output()?.replaceChildren();
    told("restart", restart);
  });
  event.detail.addEventListener("gap", (gap) => told("gap", gap));
});
