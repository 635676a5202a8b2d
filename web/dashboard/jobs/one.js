// A running job's words, as they come.
document.addEventListener("stream", (event) => {
  const output = () => document.getElementById("output");
  event.detail.addEventListener("delta", (delta) => {
    const words = JSON.parse(delta.data).content;
    if (words && output()) output().append(words);
  });
  event.detail.addEventListener("restart", () => output()?.replaceChildren());
});
