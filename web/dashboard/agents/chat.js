// A chat: an answer's words as they come, files that were chosen, Enter sends.
(() => {
  const talk = document.getElementById("talk");
  const composer = document.querySelector("[data-composer]");
  const followed = new WeakSet();
  const AGAIN_MS = 1500;

  const atTheEnd = () => innerHeight + scrollY > document.documentElement.scrollHeight - 160;
  const toTheEnd = () => scrollTo({ top: document.documentElement.scrollHeight });

  // One stream for each answer that comes; when it is over, the turn is asked for as it then is.
  function follow(turn) {
    if (followed.has(turn)) return;
    followed.add(turn);
    const text = turn.querySelector(".streamed");
    const waits = turn.querySelector(".waits");
    const stream = new EventSource(turn.dataset.follow);
    const end = (after) => { stream.close(); setTimeout(() => { if (turn.isConnected) htmx.trigger(turn, "over"); }, after); };
    stream.addEventListener("delta", (event) => {
      const { type, content, tool_call: call } = JSON.parse(event.data);
      const stays = atTheEnd();
      if (type === "content" && content) text.append(content);
      if (call?.function?.name) waits.textContent = `Calls ${call.function.name}…`;
      else waits.textContent = type === "reasoning" ? "Thinking…" : "Answering…";
      if (stays) toTheEnd();
    });
    stream.addEventListener("restart", () => text.replaceChildren());
    stream.addEventListener("over", () => end(0));
    stream.addEventListener("signed-out", () => location.reload());
    stream.addEventListener("error", () => end(AGAIN_MS));
    window.addEventListener("pagehide", () => stream.close());
  }

  const followAll = () => document.querySelectorAll("[data-follow]").forEach(follow);

  function choices() {
    const names = [...composer.querySelectorAll("[data-name]:checked")].map((box) => box.dataset.name);
    composer.querySelector("[data-chosen]").textContent = names.length > 2 ? `${names.length} files` : names.join(", ");
  }

  // What was said has its place: the form is empty again, and the address leads back to it.
  function sent(turn) {
    composer.reset();
    choices();
    history.replaceState(null, "", turn.dataset.address);
    toTheEnd();
    composer.elements.message.focus();
  }

  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) if (node.dataset?.address) sent(node);
    }
    followAll();
  }).observe(talk, { childList: true });

  composer?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.target.name !== "message") return;
    event.preventDefault();
    composer.requestSubmit();
  });
  composer?.addEventListener("change", choices);
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  followAll();
  if (talk.childElementCount) toTheEnd();
})();
