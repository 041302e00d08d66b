// Sorts and filters the tables, and draws the plots in the reader's colours.
"use strict";

const PAPER_WIDTH = 900;
const NARROW = 640;
const LEGEND_ROW = 20;

/* --- plots */

const schemes = matchMedia("(prefers-color-scheme: dark)");
const figures = [...document.querySelectorAll("script.figure")].map((script) => ({
  box: document.getElementById(script.dataset.plot),
  figure: JSON.parse(script.textContent),
}));

function resolved(value, style, isColor) {
  if (Array.isArray(value)) {
    return value.map((each) => resolved(each, style, isColor));
  }
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [
        key,
        resolved(each, style, key.toLowerCase().endsWith("color")),
      ]),
    );
  }
  const named = isColor && typeof value === "string" && value.startsWith("--");
  return named ? style.getPropertyValue(value).trim() : value;
}

function axis(style, given) {
  return {
    gridcolor: style.getPropertyValue("--line"),
    linecolor: style.getPropertyValue("--base"),
    zeroline: false,
    automargin: true,
    ...given,
    title: { font: { size: 12 }, standoff: 10, ...given?.title },
  };
}

function legend(traces, width) {
  const shown = traces.filter((each) => each.showlegend !== false);
  if (width >= NARROW) {
    return [{ x: 1.02, y: 1, yanchor: "top" }, 0];
  }
  const longest = Math.max(0, ...shown.map((each) => (each.name ?? "").length));
  const columns = Math.max(1, Math.floor(width / (60 + 7 * longest)));
  const height = LEGEND_ROW * Math.ceil(shown.length / columns);
  return [{ orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0 }, height];
}

function draw({ box, figure }) {
  const style = getComputedStyle(document.documentElement);
  const onPaper = "paper" in document.documentElement.dataset;
  const width = onPaper ? PAPER_WIDTH : box.clientWidth;
  const { data, layout } = resolved(figure, style, false);
  const hasLegend = layout.showlegend === true;
  const [place, more] = hasLegend ? legend(data, width) : [{}, 0];
  const height = layout.height + more;
  box.style.minHeight = `${height}px`;
  const ink = style.getPropertyValue("--ink").trim();
  const page = style.getPropertyValue("--page").trim();
  Plotly.react(
    box,
    data,
    {
      showlegend: false,
      ...layout,
      width,
      height,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: ink },
      margin: { l: 8, r: 8, t: 8, b: 8 },
      xaxis: axis(style, layout.xaxis),
      yaxis: axis(style, layout.yaxis),
      legend: { bgcolor: "rgba(0,0,0,0)", ...place },
      hoverlabel: { bgcolor: page, bordercolor: ink, font: { color: ink } },
      // A finger that scrolls the page must not zoom.
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    },
    { displayModeBar: false, displaylogo: false },
  );
}

function drawAll() {
  figures.forEach(draw);
}

function paper(on) {
  document.documentElement.toggleAttribute("data-paper", on);
  drawAll();
}

if (figures.length > 0) {
  drawAll();
  schemes.addEventListener("change", drawAll);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) {
      width = innerWidth;
      drawAll();
    }
  });
}
addEventListener("beforeprint", () => paper(true));
addEventListener("afterprint", () => paper(false));

/* --- tables */

function compared(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
}

function sort(table, header) {
  const descending = header.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("[aria-sort]").forEach((each) => each.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [row.cells[header.cellIndex].dataset.sort, row]);
  rows.sort(([a], [b]) => {
    // What has no figure stands last whichever way.
    if (a === "" || b === "") {
      return (a === "") - (b === "");
    }
    return descending ? compared(b, a) : compared(a, b);
  });
  body.append(...rows.map(([, row]) => row));
}

document.querySelectorAll("table.sortable").forEach((table) => {
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button !== null) {
      sort(table, button.closest("th"));
    }
  });
});

const controls = document.getElementById("controls");

function filter() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/);
  const chosen = [...controls.querySelectorAll("select")];
  const rows = [...document.getElementById("benchmarks").tBodies[0].rows];
  let shown = 0;
  for (const row of rows) {
    const text = `${row.textContent} ${row.dataset.words}`.toLowerCase();
    row.hidden =
      !words.every((word) => text.includes(word)) ||
      chosen.some((each) => each.value !== "" && row.dataset[each.dataset.filter] !== each.value);
    shown += !row.hidden;
  }
  document.getElementById("count").textContent =
    shown === rows.length ? `${shown} benchmarks` : `${shown} of ${rows.length} benchmarks`;
}

if (controls !== null) {
  controls.addEventListener("input", filter);
  controls.addEventListener("submit", (event) => event.preventDefault());
  filter(); // browsers keep what was typed when one comes back
}
