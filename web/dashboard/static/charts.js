// Draws what stands in `data-chart`: {x: [seconds], series: [{label, tone, values}], kind, unit}. In place again
// when its numbers, its width or the theme change.
(() => {
  const drawn = new WeakMap();
  const probe = document.createElement("canvas").getContext("2d");

  // A colour of the stylesheet, as the theme has it: `light-dark()` is not for a canvas.
  function colour(name) {
    const mark = document.createElement("i");
    mark.hidden = true;
    mark.style.color = `var(--${name})`;
    document.body.append(mark);
    probe.fillStyle = getComputedStyle(mark).color;
    mark.remove();
    return probe.fillStyle;
  }

  function words(value, unit) {
    if (value == null) return "–";
    if (unit === "ms") return value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${Math.round(value)} ms`;
    if (unit === "$") return `$${value.toFixed(value < 1 ? 4 : 2)}`;
    return value.toLocaleString();
  }

  function short(value, unit) {
    if (unit === "ms") return value >= 1000 ? `${value / 1000} s` : `${value} ms`;
    if (unit === "$") return `$${value}`;
    if (unit === "MB") return `${value} MB`;
    return value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : String(value);
  }

  // Points a day apart are days of UTC; others are moments, as the viewer's clock has them.
  function moment(seconds, step, long) {
    const at = new Date(seconds * 1000);
    if (step >= 86_400) return at.toLocaleDateString(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
    if (long) return at.toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" });
    return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  }

  // Bars stand on each other: each series is drawn as the sum of itself and those below it, the tallest first.
  function rows(data) {
    if (data.kind !== "bars") return data.series;
    const sums = data.x.map(() => 0);
    return data.series.map((one) => ({ ...one, values: one.values.map((value, n) => (sums[n] += value || 0)) })).reverse();
  }

  function tip(data, place) {
    const box = document.createElement("div");
    box.className = "chart-tip";
    place.append(box);
    return (chart) => {
      const n = chart.cursor.idx;
      box.style.display = n == null ? "none" : "block";
      if (n == null) return;
      const at = moment(data.x[n], data.x[1] - data.x[0], true);
      box.textContent = [at, ...data.series.map((one) => `${one.label}: ${words(one.values[n], data.unit)}`)].join("\n");
      const left = Math.min(chart.cursor.left + 14, chart.over.clientWidth - box.offsetWidth);
      box.style.left = `${Math.max(left, 0)}px`;
      box.style.top = "4px";
    };
  }

  function options(data, place) {
    const line = colour("line");
    const axis = { stroke: colour("faint"), font: `11px ${getComputedStyle(document.body).fontFamily}`, ticks: { show: false } };
    const bars = data.kind === "bars" ? uPlot.paths.bars({ size: [0.72, 28] }) : undefined;
    const step = data.x[1] - data.x[0] || 1;
    return {
      width: place.clientWidth - 16,
      height: 198,
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { setScale: false, x: false, y: false } },
      scales: { x: { range: (_, low, high) => (bars ? [low - step / 2, high + step / 2] : [low, high]) }, y: { range: (_, low, high) => [0, Math.max(high || 0, data.unit === "ms" ? 100 : 1) * 1.08] } },
      axes: [
        { ...axis, grid: { show: false }, space: 70, size: 30, incrs: step >= 86_400 ? [1, 2, 7, 14, 28].map((days) => days * 86_400) : undefined, values: (_, ticks) => ticks.map((tick) => moment(tick, step)) },
        { ...axis, grid: { stroke: line, width: 1 }, size: 52, space: 36, incrs: data.unit === "" ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e4, 1e5, 1e6] : undefined, values: (_, ticks) => ticks.map((tick) => short(tick, data.unit)) },
      ],
      series: [{}, ...rows(data).map((one) => ({
        stroke: colour(one.tone),
        width: bars ? 0 : 1.6,
        fill: bars ? colour(one.tone) : undefined,
        paths: bars,
        points: { show: !bars && one.values.filter((value) => value != null).length < 3 },
        spanGaps: false,
      }))],
      hooks: {},
      ...(step >= 86_400 ? { tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") } : {}),
    };
  }

  function draw(place) {
    const before = drawn.get(place);
    const text = `${place.dataset.chart} ${place.clientWidth} ${colour("text")}`;
    if (before?.text === text) return;
    before?.chart.destroy();
    place.replaceChildren();
    const data = JSON.parse(place.dataset.chart);
    const asked = options(data, place);
    const chart = new uPlot(asked, [data.x, ...rows(data).map((one) => one.values)], place);
    const show = tip(data, chart.over);
    chart.over.addEventListener("mousemove", () => show(chart));
    chart.over.addEventListener("mouseleave", () => show({ cursor: { idx: null } }));
    drawn.set(place, { chart, text });
  }

  const all = () => document.querySelectorAll("[data-chart]").forEach(draw);
  let soon = 0;
  const later = () => { cancelAnimationFrame(soon); soon = requestAnimationFrame(all); };
  document.addEventListener("htmx:after:swap", later);
  document.addEventListener("theme", later);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);
  window.addEventListener("resize", later);
  document.fonts.ready.then(all);
})();
