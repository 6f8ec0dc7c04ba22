// Keys, the palette, themes, notices, drag. Every button exists in the page; keys press them.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const shown = (element) => element && element.getClientRects().length > 0 && !element.disabled;

  // ---- where the human is: the focused item of a list, tile grid or inbox ----
  const here = () => document.activeElement?.closest("[data-item]");
  function move(step) {
    const items = all("main [data-item]").filter(shown);
    if (!items.length) return;
    const at = items.indexOf(here());
    const next = items[at < 0 ? (step > 0 ? 0 : items.length - 1) : at + step];
    if (next) { next.focus({ preventScroll: true }); next.scrollIntoView({ block: "nearest" }); }
  }
  // The button of a key: inside the current item first, else the first one on the page.
  function pressable(key) {
    const selector = `[data-key="${CSS.escape(key)}"]`;
    return [here(), $("main")].filter(Boolean).flatMap((root) => all(selector, root)).find(shown);
  }
  function press(key) {
    const target = pressable(key);
    if (target) {
      if (/^(INPUT|TEXTAREA)$/.test(target.tagName) && target.type !== "checkbox") target.focus();
      else target.click();
      return true;
    }
    const fold = $(`main [data-key-open="${CSS.escape(key)}"]`);
    if (fold) { fold.open = true; $("textarea", fold)?.focus(); }
    return Boolean(fold);
  }

  const places = { f: "/", i: "/inbox", r: "/reviews", t: "/tasks", a: "/agents", c: "/accounts", h: "/throughput", d: "/record" };
  let going = 0;
  const deeds = {
    j: () => move(1), k: () => move(-1), ArrowDown: null,
    o: open, Enter: open,
    "/": () => show("palette"), "?": () => show("help"),
    g: () => { going = Date.now(); return true; },
  };
  function open() {
    const link = here() && $("[data-open]", here());
    if (link) link.click();
    return Boolean(link);
  }
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.key === "Escape" && target.closest("input, textarea, select")) { target.blur(); return; }
    if (target.closest("[data-submit]") && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      target.form.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    if (target.closest("input:not([type=checkbox]), textarea, select")) return;
    if (event.key === "Enter" && target !== here()) return; // a focused button or link does its own
    if (Date.now() - going < 1200 && places[event.key]) { location.href = places[event.key]; return; }
    const deed = deeds[event.key];
    const done = deed ? deed() !== false : event.key.length === 1 && press(event.key);
    if (done) event.preventDefault();
  });

  // On a phone the navigation scrolls: the place one is at shall be seen.
  $(".nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

  // ---- palette and help ----
  function show(id) {
    const dialog = document.getElementById(id);
    dialog.showModal();
    const input = $("input", dialog);
    if (input) { input.value = ""; input.blur(); input.focus(); }
  }
  const list = $("#palette-list");
  const options = () => all("li:has(a)", list);
  function select(at) {
    options().forEach((option, index) => option.setAttribute("aria-selected", String(index === at)));
    options()[at]?.scrollIntoView({ block: "nearest" });
  }
  $("#palette")?.addEventListener("keydown", (event) => {
    const items = options();
    const at = items.findIndex((item) => item.ariaSelected === "true");
    if (event.key === "ArrowDown") select(Math.min(at + 1, items.length - 1));
    else if (event.key === "ArrowUp") select(Math.max(at - 1, 0));
    else if (event.key === "Enter") { $("a", items[Math.max(at, 0)] ?? list)?.click(); $("#palette").close(); }
    else return;
    event.preventDefault();
  });
  document.addEventListener("htmx:after:swap", (event) => { if (event.detail.ctx?.target === list) select(0); });
  all("dialog").forEach((dialog) => dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  }));

  // ---- buttons that only change the page ----
  const does = {
    palette: () => show("palette"),
    help: () => show("help"),
    dismiss: (button) => button.closest(".notice").remove(),
    discard: (button) => button.closest("tr").remove(),
    theme: () => {
      const dark = matchMedia("(prefers-color-scheme: dark)").matches;
      const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
      document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
      try { localStorage.setItem("theme", document.documentElement.dataset.theme); } catch { /* off */ }
    },
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) does[button.dataset.do]?.(button);
  });

  // ---- notices go by themselves, errors stay; a form that worked is emptied ----
  const notices = $("#notice");
  if (notices) new MutationObserver(() => {
    const notice = $(".notice:not(.error)", notices);
    if (notice) setTimeout(() => notice.remove(), 5000);
  }).observe(notices, { childList: true });
  // Meanwhile the human may have written on, or a live update made another form of it: left alone.
  const held = (form) => new URLSearchParams(new FormData(form)).toString();
  const sent = new WeakMap(); // what a form held, by its submit
  document.addEventListener("submit", (event) => {
    if (event.target.matches("form[data-reset]")) sent.set(event, held(event.target));
  });
  document.addEventListener("htmx:after:request", (event) => {
    const { sourceEvent, response } = event.detail.ctx;
    if (!(response?.status < 400) || !sent.has(sourceEvent)) return;
    if (held(sourceEvent.target) === sent.get(sourceEvent)) sourceEvent.target.reset();
  });

  // A form is method=dialog: the browser alone does nothing with it, so nothing said lands in a URL.
  // Whoever is quicker than htmx is heard once it is there.
  document.addEventListener("submit", (event) => {
    const { target: form, submitter } = event;
    if (!form.matches("[hx-post]:not([data-htmx-powered])")) return;
    event.preventDefault();
    if (window.htmx) setTimeout(() => form.isConnected && form.requestSubmit(submitter), 30);
  }, true);

  // An agent's page was opened before its first session: once there is one, the log can be shown.
  document.addEventListener("htmx:after:swap", () => {
    if ($("#agent-head[data-session]") && !$("#log")) location.reload();
  });

  // ---- the backlog's order by drag ----
  let dragged = null;
  const over = (event) => dragged && event.target.closest?.("#backlog > [data-task]");
  document.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.("#backlog > [data-task]");
    dragged?.classList.add("is-dragged");
  });
  document.addEventListener("dragover", (event) => {
    const row = over(event);
    all(".is-target").forEach((other) => other.classList.remove("is-target"));
    if (row) { row.classList.add("is-target"); event.preventDefault(); }
  });
  document.addEventListener("drop", (event) => {
    const row = over(event);
    if (!row || row === dragged) return;
    event.preventDefault();
    const url = `/tasks/${dragged.dataset.task}/move`;
    htmx.ajax("POST", url, { source: row, swap: "none", values: { before: row.dataset.task } });
  });
  document.addEventListener("dragend", () => {
    all(".is-dragged, .is-target").forEach((row) => row.classList.remove("is-dragged", "is-target"));
    dragged = null;
  });
})();
