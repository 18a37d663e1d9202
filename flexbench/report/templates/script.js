"use strict";

// A link opens what its target is folded into.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let place = target; place; place = place.parentElement) {
    if (place.tagName === "DETAILS") place.open = true;
  }
  const part = target.querySelector(":scope > details.part");
  if (part) part.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();

// What is wider than its place says so, and the keyboard reaches it.
const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const wide = target.scrollWidth > target.clientWidth + 1;
    target.classList.toggle("wide", wide);
    for (const [name, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", `${target.dataset.label}, scrolls sideways`]]) {
      if (wide) target.setAttribute(name, value);
      else target.removeAttribute(name);
    }
  }
});
for (const place of document.querySelectorAll(".scroll")) {
  widths.observe(place);
  for (const child of place.children) widths.observe(child);
}

// Pictures that follow one another: the reader turns them.
for (const frames of document.querySelectorAll(".frames")) {
  const pictures = frames.querySelectorAll(":scope > div");
  const slider = frames.querySelector("input");
  slider.addEventListener("input", () => {
    pictures.forEach((picture, number) => { picture.hidden = number + 1 !== slider.valueAsNumber; });
    frames.querySelector("output").value = `${slider.value} of ${pictures.length}`;
  });
}

// The table of all scores: filtered, sorted, and as many of its rows as are asked for.
(() => {
  const columns = JSON.parse(document.getElementById("score-data").textContent);
  const rows = columns[0].at.length;
  const STEP = 50;
  const table = document.getElementById("all-scores");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const filters = document.getElementById("filters");
  const selects = [...filters.querySelectorAll("select")];
  const words = filters.querySelector("input");
  const more = document.getElementById("more");
  let found = [];
  let shown = STEP;
  let sorted = null; // {column, ascending}

  const textOf = (column, row) => (column.texts ? column.texts[column.at[row]] : column.cells[row]);

  // A number as it is written; what is none comes last, whichever way round.
  function sizeOf(text) {
    const plain = text.replace(/^\[/, "").split(",")[0].replaceAll("−", "-").replace("∞", "Infinity");
    return plain === "" || Number.isNaN(Number(plain)) ? null : Number(plain);
  }

  function order({ column, ascending }) {
    const { at, cells } = columns[column];
    const keys = at || cells.map(sizeOf);
    const sign = ascending ? 1 : -1;
    return (a, b) => {
      const [one, other] = [keys[a], keys[b]];
      if (one === null || other === null) return (one === null) - (other === null) || a - b;
      return one === other ? a - b : one < other ? -sign : sign;
    };
  }

  function find() {
    const wanted = selects.map((select) => (select.value === "" ? null : Number(select.value)));
    const sought = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = [];
    for (let row = 0; row < rows; row += 1) {
      if (!wanted.every((place, number) => place === null || columns[number].at[row] === place)) continue;
      if (sought.length) {
        const text = columns.slice(0, 5).map((column) => textOf(column, row)).join(" ").toLowerCase();
        if (!sought.every((word) => text.includes(word))) continue;
      }
      found.push(row);
    }
    if (sorted) found.sort(order(sorted));
    draw();
  }

  function cellOf(column, row, number) {
    const cell = document.createElement(number === 0 ? "th" : "td");
    const text = textOf(column, row);
    if (number === 0) cell.scope = "row";
    if (column.name !== "Receipt") cell.textContent = text;
    else if (text) {
      const link = document.createElement("a");
      link.href = `#${text}`;
      link.textContent = "receipt";
      cell.append(link);
    }
    return cell;
  }

  function draw() {
    const drawn = found.slice(0, shown).map((row) => {
      const line = document.createElement("tr");
      line.append(...columns.map((column, number) => cellOf(column, row, number)));
      return line;
    });
    body.replaceChildren(...drawn);
    more.hidden = found.length <= shown;
    document.getElementById("found").textContent = `${found.length} of ${rows} rows, ${drawn.length} shown`;
  }

  heads.forEach((head, column) => {
    if (columns[column].name === "Receipt") return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      sorted = { column, ascending: !(sorted && sorted.column === column && sorted.ascending) };
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sorted.ascending ? "ascending" : "descending");
      find();
    });
  });
  const anew = () => { shown = STEP; find(); };
  filters.addEventListener("input", anew);
  filters.addEventListener("reset", () => setTimeout(anew));
  filters.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => { shown += 4 * STEP; draw(); });
  filters.hidden = false;
  find();
})();
