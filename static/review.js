// One merge request or union: from file to file, ticks, the filter, remarks on lines, the way on.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const column = $("[data-judged]"); // its URL: /reviews/12, /unions/3
  if (!column) return;
  const files = () => all("details.file").filter((file) => !file.hidden);
  const top = () => ($("#files-bar")?.getBoundingClientRect().bottom ?? 0) + 2;

  // ---- which file is looked at: the last one whose head has passed below the bar ----
  let chosen = null; // by key or by link; a scroll by hand forgets it
  function current() {
    const shown = files();
    if (chosen && shown.includes(chosen)) return chosen;
    const edge = top();
    return shown.findLast((file) => file.getBoundingClientRect().top <= edge) ?? shown[0];
  }
  function tell() {
    const file = current();
    const bar = $("#files-bar");
    if (!file || !bar) return;
    const shown = files();
    $("[data-here]", bar).textContent = $(".path", file).textContent;
    $("[data-place]", bar).textContent = `${shown.indexOf(file) + 1} of ${shown.length}`;
  }
  function go(file) {
    if (!file) return;
    chosen = file;
    $("summary", file).focus({ preventScroll: true });
    file.scrollIntoView({ block: "start" });
    tell();
  }
  function step(by) {
    const shown = files();
    go(shown[shown.indexOf(current()) + by]);
  }
  let asked = 0;
  addEventListener("scroll", () => { asked ||= requestAnimationFrame(() => { asked = 0; tell(); }); }, { passive: true });
  for (const kind of ["wheel", "touchmove", "pointerdown"]) addEventListener(kind, () => { chosen = null; }, { passive: true });

  // ---- ticks: said to the server, drawn here at once, taken back where it was refused ----
  const link = (file) => $(`.file-index a[href="#${file.id}"]`);
  function mark(file, isTicked) {
    for (const element of [file, link(file)]) {
      element?.classList.remove("v-new", "v-changed", "v-shown", "v-ticked");
      element?.classList.add(isTicked ? "v-ticked" : "v-shown");
    }
    $("[data-tick]", file).checked = isTicked;
  }
  // One file's ticks go one after the other: htmx answers at once for what it has to queue or drop.
  const ticking = new WeakMap(); // the last one's answer, by file
  function tick(file, isTicked) {
    mark(file, isTicked);
    file.open = !isTicked;
    const values = { head_sha: column.dataset.seen, file: file.dataset.file, ticked: isTicked ? "1" : "" };
    const before = ticking.get(file) ?? Promise.resolve();
    ticking.set(file, before.then(async () => {
      const isTaken = await send(file, "ticks", values);
      if (!isTaken && $("[data-tick]", file).checked === isTicked) mark(file, !isTicked);
    }));
  }
  // True where the server took it; what it refused is a notice already. Each source has its own
  // queue, so ticks of several files in a row don't wait for each other.
  async function send(source, deed, values) {
    let isTaken = false;
    const note = ({ detail: { ctx } }) => { if (ctx.values === values) isTaken = ctx.response?.status < 400; };
    document.addEventListener("htmx:after:request", note);
    await htmx.ajax("POST", `${column.dataset.judged}/${deed}`, { source, swap: "none", values });
    document.removeEventListener("htmx:after:request", note);
    return isTaken;
  }
  document.addEventListener("change", (event) => {
    const box = event.target.closest("[data-tick]");
    if (box) tick(box.closest("details.file"), box.checked);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-step]");
    if (!button) return;
    const file = current();
    if (button.dataset.step !== "tick") return step(Number(button.dataset.step));
    if (!file || !$("[data-tick]", file)) return;
    const shown = files();
    const after = shown.slice(shown.indexOf(file) + 1).find((other) => !$("[data-tick]", other)?.checked);
    tick(file, true);
    go(after ?? file);
  });

  // ---- the index ----
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-filter]")) return;
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const file of all("details.file")) {
      const path = $(".path", file).textContent.toLowerCase();
      file.hidden = !words.every((word) => path.includes(word));
      const entry = link(file);
      if (entry) entry.hidden = file.hidden;
    }
    chosen = null;
    tell();
  });
  document.addEventListener("click", (event) => {
    const entry = event.target.closest(".file-index a");
    const file = entry && document.getElementById(entry.hash.slice(1));
    if (!file) return;
    event.preventDefault();
    file.open = true;
    go(file);
  });

  // ---- a click on a line opens a form for a remark below it ----
  document.addEventListener("click", (event) => {
    const cell = event.target.closest(".takes tr:not(.hunk, .no-newline, .noted, .writing) > td:last-child");
    const template = document.getElementById("comment-form");
    if (!cell || !template || String(getSelection())) return;
    const row = cell.parentElement;
    if (row.matches(".takes-new .del")) return; // the old side of "since you looked" is no commit's
    if (row.nextElementSibling?.classList.contains("writing")) return;
    const writing = template.content.firstElementChild.cloneNode(true);
    const isOld = row.classList.contains("del");
    const form = writing.querySelector("form");
    form.elements.file.value = cell.closest("[data-file]").dataset.file;
    form.elements.side.value = isOld ? "old" : "new";
    form.elements.line.value = row.cells[isOld ? 0 : 1].textContent;
    row.after(writing);
    htmx.process(writing);
    form.elements.body.focus();
  });

  // ---- opened and looked at: the server notes which contents were shown ----
  let opening = null; // while it is told; a verdict that is quicker waits for that
  const moments = ["visibilitychange", "htmx:after:swap"];
  function whenOpened() {
    const isLookedAt = document.visibilityState === "visible" && "counts" in column.dataset;
    if (!isLookedAt || !files().length) return;
    for (const kind of moments) document.removeEventListener(kind, whenOpened);
    opening = send(column, "seen", { head_sha: column.dataset.seen }).finally(() => { opening = null; });
  }
  for (const kind of [...moments, "DOMContentLoaded"]) document.addEventListener(kind, whenOpened);
  document.addEventListener("submit", (event) => {
    const { target: form, submitter } = event;
    if (!opening || !form.matches("[data-verdict]")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    opening.then(() => form.isConnected && form.requestSubmit(submitter));
  }, true);
  tell();

  // ---- after a verdict: on to the next of the list, which is told what was said ----
  // The live update may have taken the form away before its answer came; the notice comes always.
  const notices = document.getElementById("notice");
  let verdict = false;
  document.addEventListener("submit", (event) => { verdict = event.target.matches("[data-verdict]"); });
  new MutationObserver(() => {
    const [said, next] = [$(".notice", notices), $("[data-next]")?.dataset.next];
    if (!verdict || !said || !next) return;
    verdict = false;
    if (said.matches(".error")) return;
    const told = { text: $("span", said).textContent, url: column.dataset.judged };
    if (next !== "/reviews") sessionStorage.setItem("decided", JSON.stringify(told));
    location.href = next;
  }).observe(notices, { childList: true });
  const before = JSON.parse(sessionStorage.getItem("decided") ?? "null");
  sessionStorage.removeItem("decided");
  if (before) {
    const notice = document.createElement("p");
    const link = document.createElement("a");
    [notice.className, notice.textContent, link.href, link.textContent] = ["notice info", `${before.text} `, before.url, "Look back"];
    notice.append(link);
    notices.replaceChildren(notice);
  }

  // ---- a check's output stays at its end while it runs ----
  function follow() {
    const output = $("#check[data-running] .output");
    if (output) output.scrollTop = output.scrollHeight;
  }
  document.addEventListener("htmx:after:swap", follow);
  follow();
})();
