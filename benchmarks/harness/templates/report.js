// Sorts and filters the tables.
"use strict";

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
