// Comments on lines: a click on a line of the diff opens a form below it.
"use strict";
document.addEventListener("click", (event) => {
  const cell = event.target.closest("td.code");
  const template = document.getElementById("comment-form");
  if (!cell || !template || String(getSelection())) return;
  const row = cell.parentElement;
  if (row.nextElementSibling?.classList.contains("writing")) return;
  const writing = template.content.firstElementChild.cloneNode(true);
  const isOld = row.classList.contains("del");
  const form = writing.querySelector("form");
  form.elements.path.value = cell.closest("[data-path]").dataset.path;
  form.elements.side.value = isOld ? "old" : "new";
  form.elements.line.value = row.cells[isOld ? 0 : 1].textContent;
  row.after(writing);
  htmx.process(writing);
  form.elements.body.focus();
});
