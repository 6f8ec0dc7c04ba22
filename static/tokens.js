// Output tokens a minute, stacked by account: our numbers, uPlot's axes, the page's colours.
"use strict";
(() => {
  const box = document.getElementById("tokens");
  const legend = document.getElementById("tokens-legend");
  if (!box || !window.uPlot) return;
  const REFRESH_MS = { 60: 10_000, 360: 30_000 }; // by minutes shown; the rest each minute
  const COLOURS = 8;
  let minutes = 1440, bucket = 15, plot = null, names = "", asked = 0;

  const value = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // A colour as the page shows it now: light-dark() and variables are resolved on an element.
  function colour(name) {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    box.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }
  const short = (number) => number >= 10_000 ? `${Math.round(number / 1000)}k` : Math.round(number).toLocaleString("en");

  function clock(seconds) {
    const [day, time] = new Date(seconds * 1000).toUTCString().split(/, \d+ \w+ \d+ /);
    return time.startsWith("00:00") || minutes > 1440 ? `${day} ${time.slice(0, 5)}` : time.slice(0, 5);
  }

  // The lowest series is drawn last, over the sum of all below it.
  function stacked(series) {
    const sums = [];
    let below = series.starts.map(() => 0);
    for (const { output_per_minute: numbers } of series.accounts) {
      below = below.map((sum, at) => sum + numbers[at]);
      sums.push(below);
    }
    return [series.starts, ...sums.reverse()];
  }

  function options(accounts) {
    const line = colour("--line"), dim = colour("--dim");
    const axis = { stroke: dim, font: `11px ${value("--sans")}`, ticks: { show: false }, border: { show: false } };
    return {
      width: box.clientWidth, height: box.clientHeight, padding: [8, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { setScale: false, x: false, y: false } },
      scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.06, 10)] } },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      axes: [{ ...axis, grid: { show: false }, space: 70, size: 26, values: (_, ticks) => ticks.map(clock) }, { ...axis, grid: { stroke: line, width: 1 }, size: 46, values: (_, ticks) => ticks.map(short) }],
      series: [{}, ...accounts.map((account, at) => {
        const fill = colour(`--series-${(accounts.length - 1 - at) % COLOURS + 1}`);
        return { label: account.account, stroke: fill, fill, width: 1, points: { show: false } };
      })],
      hooks: { setCursor: [(chart) => tell(chart.cursor.idx)] },
    };
  }

  let shown = null;
  function tell(at) {
    if (!shown) return;
    const last = at ?? shown.starts.length - 1;
    [...legend.children].forEach((row, index) => {
      row.querySelector("b").textContent = short(shown.accounts[index].output_per_minute[last] ?? 0);
    });
  }
  function list(accounts) {
    legend.replaceChildren(...accounts.map((account, at) => {
      const row = document.createElement("li");
      row.className = `c-${at % COLOURS + 1}`;
      row.append(document.createElement("i"), account.account, " ", document.createElement("b"));
      return row;
    }));
  }

  function draw(series) {
    series.accounts = series.accounts.filter(({ output_per_minute: all }) => all.some(Boolean));
    shown = series;
    const now = series.accounts.map(({ account }) => account).join();
    if (plot && now === names) plot.setData(stacked(series));
    else {
      plot?.destroy();
      names = now;
      list(series.accounts);
      plot = new uPlot(options([...series.accounts].reverse()), stacked(series), box);
    }
    tell(null);
  }

  box.replaceChildren();
  async function load() {
    const mine = ++asked;
    try {
      const answer = await fetch(`${box.dataset.url}?minutes=${minutes}&bucket_minutes=${bucket}`);
      if (answer.ok && mine === asked) draw(await answer.json());
    } catch { /* the server is away: the next look finds it */ }
  }
  function again() {
    setTimeout(async () => {
      if (!document.hidden) await load();
      again();
    }, REFRESH_MS[minutes] ?? 60_000);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-minutes]");
    if (!button) return;
    ({ minutes, bucket } = { minutes: Number(button.dataset.minutes), bucket: Number(button.dataset.bucket) });
    document.querySelectorAll("[data-minutes]").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    load();
  });
  function afresh() { // another theme has other colours
    names = "";
    if (shown) draw(shown);
  }
  new MutationObserver(afresh).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", afresh);
  new ResizeObserver(() => plot?.setSize({ width: box.clientWidth, height: box.clientHeight })).observe(box);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) load(); });
  load();
  again();
})();
