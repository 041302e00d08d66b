"use strict";

// Text only ever goes into the page as text: names in a checkpoint may look like markup.
const FIRST_ROWS = 250;
const MORE_ROWS = 1000;
const MOST_ON_PAPER = 10000;
const LONGEST_TEXT = 300;
const element = (id) => document.getElementById(id);
const { columns, rows, groups } = JSON.parse(element("data").textContent);
const [NAME, BECAME] = [0, 1];
const SQNR = columns.findIndex(({ kind }) => kind === "decibels");
const isText = (column) => ["name", "text"].includes(columns[column].kind);

let sortedBy = -1; // the file's own order
let descending = false;
let shown = rows;
let limit = FIRST_ROWS;

function sizeText(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; bytes >= 999.5 && unit < units.length - 1; ++unit) bytes /= 1000;
  const digits = unit === 0 ? 0 : Math.max(0, 3 - String(Math.round(bytes)).length);
  return `${bytes.toFixed(digits)} ${units[unit]}`;
}

function numberText(value, kind) {
  if (value === undefined) return "";
  const number = Number(value);
  if (!Number.isFinite(number)) return String(number).replace("Infinity", "\u221e");
  if (kind === "decibels") return number.toFixed(2);
  if (kind === "cosine") return number.toFixed(6);
  const size = Math.abs(number);
  if (size === 0) return "0";
  return size >= 0.0001 && size < 1000 ? number.toPrecision(3) : number.toExponential(2);
}

function cellText(row, column) {
  const { kind } = columns[column];
  if (kind === "bytes") return sizeText(row[column]);
  if (!isText(column)) return numberText(row[column], kind);
  const text = row[column];
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, 200)}\u2026${text.slice(-60)}`;
}

function cell(row, column) {
  const td = document.createElement("td");
  td.dataset.label = columns[column].label;
  if (!isText(column)) td.className = "number";
  const text = document.createElement("bdi");
  // A name breaks behind its dots.
  const parts = columns[column].kind === "name" ? cellText(row, column).split(/(?<=\.)/) : [cellText(row, column)];
  parts.forEach((part, index) => text.append(...(index ? [document.createElement("wbr")] : []), part));
  td.append(text);
  return td;
}

function draw() {
  const lines = shown.slice(0, limit).map((row) => {
    const tr = document.createElement("tr");
    tr.append(...columns.map((_, column) => cell(row, column)));
    return tr;
  });
  document.querySelector("#layers tbody").replaceChildren(...lines);
  const all = rows.length.toLocaleString("en");
  const found = shown.length === rows.length ? all : `${shown.length.toLocaleString("en")} of ${all}`;
  element("count").textContent = `${found} ${rows.length === 1 ? "tensor" : "tensors"}` + (shown.length > limit ? `, the first ${limit.toLocaleString("en")} shown` : "");
  element("more").hidden = shown.length <= limit;
  element("more").textContent = `Show ${Math.min(MORE_ROWS, shown.length - limit).toLocaleString("en")} more`;
  document.querySelectorAll("#layers th").forEach((th, column) => {
    if (column === sortedBy) th.setAttribute("aria-sort", descending ? "descending" : "ascending");
    else th.removeAttribute("aria-sort");
  });
  element("sorter").value = String(sortedBy);
}

function compare(left, right) {
  if (isText(sortedBy)) {
    return left[sortedBy] < right[sortedBy] ? -1 : Number(left[sortedBy] > right[sortedBy]);
  }
  return Number(left[sortedBy]) - Number(right[sortedBy]) || 0; // 0 also for Inf beside Inf
}

function update() {
  const wanted = element("filter").value.toLowerCase();
  const group = groups[element("group").value];
  shown = rows.filter(
    (row) =>
      (group === undefined || row[BECAME] === group) &&
      row.some((text, column) => isText(column) && text.toLowerCase().includes(wanted)),
  );
  if (sortedBy >= 0) {
    // What has no value stands last, whichever way the rest is sorted.
    const isEmpty = (row) => !isText(sortedBy) && Number.isNaN(Number(row[sortedBy]));
    const sign = descending ? -1 : 1;
    shown.sort((left, right) => isEmpty(left) - isEmpty(right) || sign * compare(left, right));
  }
  draw();
}

function sortBy(column) {
  // From the first click: names from A, sizes and errors from the worst.
  const worstFirst = column >= 0 && ["bytes", "error"].includes(columns[column].kind);
  descending = column === sortedBy ? !descending : worstFirst;
  sortedBy = column;
  update();
}

function show({ text = "", group = -1 }) {
  element("filter").value = text;
  element("group").value = String(group);
  limit = FIRST_ROWS;
  update();
  element("tensors").scrollIntoView();
}

// A spreadsheet runs a cell that starts with one of these as a formula.
const csvText = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? "'" : "") + text.replaceAll('"', '""')}"`;

function csv() {
  const lines = [columns.map((column) => csvText(column.label))];
  for (const row of shown) {
    lines.push(columns.map((_, column) => (isText(column) ? csvText(row[column]) : row[column] ?? "")));
  }
  return lines.map((line) => line.join(",")).join("\r\n") + "\r\n";
}

function saveCsv() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = "quarrow-report.csv";
  link.click();
  URL.revokeObjectURL(link.href);
}

function preparePlot() {
  const plot = element("plot");
  if (plot === null) return;
  const drawn = rows.filter((row) => SQNR >= 0 && row.length > SQNR && Number.isFinite(Number(row[SQNR])));
  const { width, height } = plot.viewBox.baseVal;
  const { low, high } = plot.dataset;
  let chosen = -1;
  const position = (index) => [
    ((index + 0.5) / drawn.length) * width,
    ((high - drawn[index][SQNR]) / (high - low)) * height,
  ];
  const choose = (index) => {
    chosen = Math.min(Math.max(index, 0), drawn.length - 1);
    element("mark").setAttribute("d", `M${position(chosen).join(" ")}h0`);
    element("point").textContent = `${cellText(drawn[chosen], SQNR)} dB  ${cellText(drawn[chosen], NAME)}`;
  };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const nearest = { index: 0, distance: Infinity };
    drawn.forEach((_, index) => {
      const [pointX, pointY] = position(index);
      const distance = Math.hypot((pointX / width) * box.width - x, (pointY / height) * box.height - y);
      if (distance < nearest.distance) Object.assign(nearest, { index, distance });
    });
    choose(nearest.index);
  });
  plot.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -drawn.length, End: drawn.length };
    if (event.key in steps) choose(chosen + steps[event.key]);
    else if (event.key === "Enter" && chosen >= 0) show({ text: drawn[chosen][NAME] });
    else return;
    event.preventDefault();
  });
  plot.addEventListener("click", () => chosen >= 0 && show({ text: drawn[chosen][NAME] }));
}

columns.forEach(({ label }, column) => {
  const th = document.createElement("th");
  th.scope = "col";
  if (!isText(column)) th.className = "number";
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", () => sortBy(column));
  th.append(button);
  document.querySelector("#layers thead tr").append(th);
});
["Order of the file", ...columns.map((column) => column.label)].forEach((label, place) => {
  element("sorter").add(new Option(label, String(place - 1)));
});
groups.forEach((became, group) => element("group").add(new Option(became, String(group))));
element("group").addEventListener("change", update);
element("sorter").addEventListener("change", (event) => sortBy(Number(event.target.value)));
element("filter").addEventListener("input", update);
element("csv").addEventListener("click", saveCsv);
element("more").addEventListener("click", () => {
  limit += MORE_ROWS;
  draw();
});
document.querySelectorAll("[data-group]").forEach((button) => {
  button.addEventListener("click", () => show({ group: button.dataset.group }));
});
// Paper has no button to press.
let limitOnScreen = limit;
addEventListener("beforeprint", () => {
  limitOnScreen = limit;
  limit = Math.max(limit, MOST_ON_PAPER);
  draw();
});
addEventListener("afterprint", () => {
  limit = limitOnScreen;
  draw();
});
preparePlot();
if (SQNR >= 0) sortBy(SQNR); // the worst first
else update();
