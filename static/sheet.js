// The sheet: a dialog that shows what a change means before it is made; and agents dragged onto accounts.
"use strict";
(() => {
  const sheet = document.getElementById("sheet");
  const body = document.getElementById("sheet-body");
  if (!sheet) return;

  // ---- what is loaded into it opens it; what worked closes it ----
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail.ctx?.target !== body || !body.firstElementChild) return;
    if (!sheet.open) sheet.showModal();
    (body.querySelector("[autofocus]") ?? body.querySelector("input:not([type=hidden]), button"))?.focus();
  });
  document.addEventListener("htmx:after:request", (event) => {
    const { sourceEvent, response } = event.detail.ctx;
    const form = sourceEvent?.target; // gone where the sheet shows something else by now
    if (response?.status < 400 && form?.matches?.("form[data-closes]") && sheet.contains(form)) sheet.close();
  });
  // Whoever is quicker than htmx is heard once it is there (app.js does so for forms).
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[hx-get]:not([data-htmx-powered])');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    setTimeout(() => link.isConnected && link.click(), 30);
  }, true);
  sheet.addEventListener("close", () => body.replaceChildren());
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button?.dataset.do === "close") { if (sheet.open) sheet.close(); else history.back(); }
    if (button?.dataset.do === "copy") copy(button);
  });
  async function copy(button) {
    const was = button.textContent;
    try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(button.parentElement.querySelector("code")); }
    setTimeout(() => { button.textContent = was; }, 1500);
  }

  // ---- an agent onto an account ----
  let dragged = null;
  const seat = (event) => event.target.closest?.(".seat[data-agent]");
  function over(event) {
    const card = dragged && event.target.closest?.("[data-account]");
    return card && card !== dragged.closest("[data-account]") ? card : null;
  }
  const unmark = () => document.querySelectorAll(".account.is-target").forEach((card) => card.classList.remove("is-target"));
  document.addEventListener("dragstart", (event) => {
    dragged = seat(event) ?? null;
    if (!dragged) return;
    event.dataTransfer.setData("text/plain", dragged.dataset.agent);
    event.dataTransfer.effectAllowed = "move";
    dragged.classList.add("is-dragged");
  });
  document.addEventListener("dragover", (event) => {
    if (!dragged) return;
    unmark();
    const card = over(event);
    if (card) { card.classList.add("is-target"); event.preventDefault(); }
  });
  document.addEventListener("drop", (event) => {
    const card = over(event);
    if (!card) return;
    event.preventDefault();
    const to = encodeURIComponent(card.dataset.account);
    const url = `/agents/${encodeURIComponent(dragged.dataset.agent)}/move?to=${to}`;
    htmx.ajax("GET", url, { source: card, target: body, swap: "innerHTML" });
  });
  document.addEventListener("dragend", () => {
    unmark();
    dragged?.classList.remove("is-dragged");
    dragged = null;
  });

  // ---- a login that was waited for is said aloud ----
  const notices = document.getElementById("notice");
  const logins = new Map();
  function look() {
    document.querySelectorAll("[data-account][data-login]").forEach(({ dataset }) => {
      const before = logins.get(dataset.account);
      if (before && before !== "in" && dataset.login === "in") say(`${dataset.account} is logged in.`);
      logins.set(dataset.account, dataset.login);
    });
  }
  function say(text) {
    const notice = document.createElement("p");
    notice.className = "notice info";
    notice.textContent = text;
    notices.replaceChildren(notice);
  }
  look();
  document.addEventListener("htmx:after:swap", look);
})();
