// The review list: verdicts by key, the next item after each, the selection, the queue's clock.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const main = $("#console");
  const words = $("#say-why");
  const notices = $("#notice");
  if (!main) return;

  // ---- where the human is: remembered by merge request, since live updates redraw rows ----
  let at = null; // the focused merge request
  let order = []; // the list as it was then
  let wanted = null; // one that is open again: it is focused once it is back
  const rows = () => all(".requests:not(.away) > [data-request]", main);
  const rowOf = (id) => $(`[data-request="${id}"]`, main);
  const here = () => document.activeElement?.closest("[data-request]");
  function go(row) {
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: "nearest" });
  }
  function note(row) {
    at = row.dataset.request;
    order = rows().map((each) => each.dataset.request);
    explain(row);
  }
  // The one below; at the end the one above.
  function next(id) {
    const place = order.indexOf(id);
    const left = [...order.slice(place + 1), ...order.slice(0, Math.max(place, 0)).reverse()];
    return left.map(rowOf).find((row) => row && row.closest(".requests:not(.away)"));
  }
  main.addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-request]");
    if (row) note(row);
  });
  function settle() {
    const back = wanted && rowOf(wanted);
    if (back?.closest(".requests:not(.away)")) {
      wanted = null;
      go(back);
    } else if (words.hidden && document.activeElement === document.body && at) {
      const row = rowOf(at);
      go(row?.closest(".requests:not(.away)") ? row : next(at) ?? row);
    }
    picked();
  }

  // ---- why it ranks here, beside the list ----
  const before = $("#before");
  function explain(row) {
    const why = $(".why", row);
    before.hidden = !why;
    if (why) $("#before-body").replaceChildren(...[...why.cloneNode(true).children]);
  }

  // ---- verdicts ----
  const decided = []; // merge requests, the last verdict at the end: what `u` takes back
  function send(id, what, values = {}) {
    return htmx.ajax("POST", `/reviews/${id}/${what}`, { source: notices, swap: "none", values });
  }
  // The next one is focused at once: who decides quickly does not wait for answers.
  function leave(row) {
    decided.push(row.dataset.request);
    note(row);
    go(next(row.dataset.request));
  }
  main.addEventListener("submit", (event) => {
    const row = event.target.closest(".requests > [data-request]");
    if (row && event.target.getAttribute("hx-post")?.endsWith("/approve")) leave(row);
  });
  function undo(row) {
    const button = row && $('[data-key="u"]', row);
    if (button) { button.click(); return true; }
    const id = decided.pop();
    if (!id) return false;
    wanted = id;
    send(id, "undo");
    return true;
  }

  // ---- one line of words: why rejected, what should change ----
  let about = null; // {id, head, what, row}
  function ask(row, what) {
    about = { id: row.dataset.request, head: row.dataset.head, what };
    note(row);
    row.classList.add("is-asked");
    $("b", words).textContent = what === "reject" ? `Reject #${about.id}` : `Changes to #${about.id}`;
    const input = words.elements.words;
    input.placeholder = what === "reject" ? "Why? Kept with the task; the branch stays." : "What should change? Goes to its author with your comments.";
    input.setAttribute("aria-label", input.placeholder);
    words.hidden = false;
    const top = row.getBoundingClientRect().bottom - main.getBoundingClientRect().top;
    words.style.top = `${top + 2}px`;
    input.focus();
    words.scrollIntoView({ block: "nearest" });
  }
  function close() {
    words.hidden = true;
    rowOf(about.id)?.classList.remove("is-asked");
    words.reset();
    about = null;
  }
  words.addEventListener("submit", (event) => {
    event.preventDefault();
    const { id, head, what } = about, said = words.elements.words.value.trim();
    if (!said && what === "changes") return;
    close();
    const row = rowOf(id);
    if (row) leave(row);
    send(id, what, { head_sha: head, [what === "reject" ? "reason" : "body"]: said });
  });
  words.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    const row = rowOf(about.id);
    close();
    go(row);
  });
  main.addEventListener("click", (event) => {
    const button = event.target.closest("[data-say]");
    if (button) ask(button.closest("[data-request]"), button.dataset.say);
  });

  // ---- keys: a verdict is for the focused row, or for the selection, and for nothing else ----
  const keys = {
    a: (row) => {
      if (picks().length) $("[data-bulk]").click();
      else if (!row) return;
      else if ($('.tools [data-key="a"]', row)) $('.tools [data-key="a"]', row).click();
      else say(row.dataset.hindrance ?? "This is on its way already.");
    },
    r: (row) => row && $("[data-say=reject]", row) && ask(row, "reject"),
    c: (row) => row && $("[data-say=changes]", row) && ask(row, "changes"),
    u: (row) => undo(row),
    X: () => selectGlances(),
    w: (row) => row && (document.activeElement.matches(".care") ? go(row) : $(".care", row)?.focus()),
  };
  document.addEventListener("keydown", (event) => {
    const key = keys[event.key];
    if (!key || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    key(here());
  }, true);
  function say(text) {
    const notice = document.createElement("p");
    notice.className = "notice info";
    notice.textContent = text;
    notices.replaceChildren(notice);
  }

  // ---- the selection ----
  const picks = () => all("input[name=pick]:checked:enabled", main);
  function picked() {
    const count = picks().length;
    all("[data-picked]", main).forEach((place) => { place.textContent = count; });
    $("[data-bulk]", main).disabled = !count;
    $("[data-selection]", main).hidden = !count;
    $("[data-union]", main).hidden = count < 2;
    all("[data-glances]", main).forEach((button) => { button.hidden = count > 0; });
  }
  function selectGlances() { // all of them, or none where all are
    const glances = all("input[data-care=glance]:enabled", main);
    const on = glances.some((box) => !box.checked);
    glances.forEach((box) => { box.checked = on; });
    picked();
  }
  main.addEventListener("change", picked);
  main.addEventListener("click", (event) => {
    if (event.target.closest("[data-glances]")) selectGlances();
    if (event.target.closest("[data-union]")) {
      htmx.ajax("POST", "/unions", { source: notices, swap: "none", values: { pick: picks().map((box) => box.value) } });
    }
  });

  // ---- the matrix: a cell marks the two in the list and names what it is about, where it stands ----
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("[data-pair]");
    if (!cell) return;
    all(".is-paired", main).forEach((row) => row.classList.remove("is-paired"));
    const two = cell.dataset.pair.split(" ").map(rowOf).filter(Boolean);
    two.forEach((row) => row.classList.add("is-paired"));
    const words = document.getElementById(cell.getAttribute("href").slice(1));
    event.preventDefault();
    words.closest("details").open = true;
    words.focus({ preventScroll: true });
    words.scrollIntoView({ block: "nearest" });
  });

  // ---- checks that run: their seconds go on between the server's words ----
  setInterval(() => {
    all(".queue progress[data-since]").forEach((bar) => {
      const seconds = Math.max(0, Math.round((Date.now() - Date.parse(bar.dataset.since)) / 1000));
      const how = bar.nextElementSibling, usual = Number(how.dataset.of);
      bar.value = seconds;
      how.textContent = `checks ${seconds} s` + (usual ? ` of ${usual} s` : "");
    });
  }, 1000);

  document.addEventListener("htmx:after:swap", settle);
  if (!location.hash) go(rows()[0]);
  picked();
})();
