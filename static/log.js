// A session's log: chunks of records from the server, kept within bounds, joined where they meet.
// Everything is addressed by sequence number: a dropped socket asks for what came after.
"use strict";
(() => {
  const log = document.getElementById("log");
  if (!log) return;
  const CHUNK = 100, MOUNTED = 4000, NEAR = 1800;
  const pill = document.getElementById("to-live");
  const { session, agent } = log.dataset;
  const chunks = () => log.getElementsByClassName("chunk");
  const first = () => Number(chunks()[0]?.dataset.first ?? 1);
  const last = () => Number(chunks()[chunks().length - 1]?.dataset.last ?? 0);
  const size = (chunk) => chunk.dataset.last - chunk.dataset.first + 1;
  let newest = last(); // what the server has sent or told of
  let stuck = true; // the human is at the end and wants to stay there
  let away = !("live" in log.dataset); // the end of the log is not mounted
  let loading = false, holding = 0;

  // ---- joining: a piece stays in its chunk, hidden, and a copy is shown where it belongs ----
  const homes = new Map(); // "call:ID", "ask:ID" → the element that is waiting for pieces
  function learn(root) {
    for (const home of root.querySelectorAll("[data-call]")) homes.set("call:" + home.dataset.call, home);
    for (const home of root.querySelectorAll("[data-ask]")) homes.set("ask:" + home.dataset.ask, home);
  }
  function place(piece, home, into, nodes) {
    piece.copies = nodes.map((node) => into.appendChild(node.cloneNode(true)));
    piece.home = home;
    piece.hidden = true;
  }
  function settleLate(piece) {
    const home = homes.get(piece.dataset.into);
    if (!home?.isConnected || piece.home === home) return;
    const how = piece.querySelector(".how");
    if (how) {
      home.querySelector(".how")?.remove();
      home.querySelector("form.answers")?.remove();
    }
    place(piece, home, home.querySelector(".output") ?? home, [...piece.querySelectorAll("pre > span")]);
    if (how) piece.copies.push(home.firstElementChild.appendChild(how.cloneNode(true)));
  }
  function settleFirst(chunk) {
    const piece = chunk.firstElementChild, before = chunk.previousElementSibling?.lastElementChild;
    if (!piece?.dataset.join || before?.dataset?.join !== piece.dataset.join) return;
    const home = before.home ?? before;
    if (piece.home !== home) place(piece, home, home, [...piece.children]);
  }
  function settle() {
    for (const piece of log.querySelectorAll(".r[hidden]")) {
      if (!piece.home.isConnected) Object.assign(piece, { hidden: false, home: null });
    }
    for (const piece of log.querySelectorAll("[data-into]")) settleLate(piece);
    for (const chunk of chunks()) settleFirst(chunk);
  }
  function unmount(chunk) {
    for (const piece of chunk.querySelectorAll(".r[hidden]")) piece.copies.forEach((copy) => copy.remove());
    chunk.remove();
  }

  // ---- mounting ----
  function parse(html) {
    const template = document.createElement("template");
    template.innerHTML = html; // made by our templates, everything in it escaped there
    return template.content;
  }
  const wire = (root) => { if (root.querySelector("[hx-post]")) htmx.process(root); };
  const total = () => [...chunks()].reduce((sum, chunk) => sum + size(chunk), 0);
  function trim(fromTop) {
    let over = total() - MOUNTED;
    while (over > 0 && chunks().length > 1) {
      const chunk = chunks()[fromTop ? 0 : chunks().length - 1];
      over -= size(chunk);
      unmount(chunk);
      if (!fromTop) away = true;
    }
  }
  function openChunk(seq) {
    const end = chunks()[chunks().length - 1];
    if (end && size(end) < CHUNK) return end;
    end?.classList.remove("is-open");
    const chunk = document.createElement("section");
    chunk.className = "chunk is-open";
    chunk.dataset.first = seq;
    chunk.dataset.last = seq - 1;
    log.append(chunk);
    return chunk;
  }
  function append(frame) {
    const chunk = openChunk(frame.first);
    for (const element of [...parse(frame.html).children]) {
      const end = chunk.lastElementChild;
      if (element.dataset.join && end?.dataset.join === element.dataset.join) {
        const pieces = [...element.children];
        end.append(...pieces);
        if (end.home) end.copies.push(...pieces.map((piece) => end.home.appendChild(piece.cloneNode(true))));
        continue;
      }
      chunk.append(element);
      if (element === chunk.firstElementChild) settleFirst(chunk);
      if (element.dataset.call) homes.set("call:" + element.dataset.call, element);
      if (element.dataset.ask) { homes.set("ask:" + element.dataset.ask, element); wire(element); }
      if (element.dataset.into) settleLate(element);
    }
    chunk.dataset.last = frame.last;
  }
  function mount(content, atTop) {
    const added = [...content.querySelectorAll(".chunk")];
    const anchor = chunks()[0], top = anchor?.getBoundingClientRect().top;
    if (atTop) log.querySelector(".older")?.remove();
    if (atTop) (anchor ? anchor.before(...added) : log.append(...added));
    else log.append(...added);
    added.forEach((chunk) => { learn(chunk); wire(chunk); });
    trim(!atTop);
    settle();
    if (atTop && anchor) log.scrollTop += anchor.getBoundingClientRect().top - top;
    return added.length;
  }
  async function load(query, atTop) {
    if (loading) return 0;
    loading = true;
    try {
      const url = `/agents/${encodeURIComponent(agent)}/log?session=${encodeURIComponent(session)}${query}`;
      const answer = await fetch(url, { headers: { "HX-Request": "true" } });
      return answer.ok ? mount(parse(await answer.text()), atTop) : 0;
    } finally { loading = false; show(); }
  }
  async function newer() {
    const added = await load(`&after=${last()}`, false);
    newest = Math.max(newest, last());
    away = last() < newest && added > 0;
    show();
  }
  async function toLive() {
    [...chunks()].forEach(unmount);
    homes.clear();
    away = false;
    await load("", false);
    newest = Math.max(newest, last());
    jump();
  }

  // ---- where the human is ----
  const below = () => log.scrollHeight - log.scrollTop - log.clientHeight;
  function show() { pill.hidden = stuck && !away; }
  function toEnd() { log.scrollTop = log.scrollHeight; show(); }
  // After a jump, chunks that come into view take their real height: stay at the end meanwhile.
  function jump() {
    chunks()[chunks().length - 1]?.classList.add("is-open");
    stuck = true;
    toEnd();
    holding = 4;
    requestAnimationFrame(hold);
  }
  function hold() {
    if (holding > 0 && stuck) { toEnd(); holding -= 1; requestAnimationFrame(hold); }
  }
  for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"]) {
    log.addEventListener(kind, () => { holding = 0; }, { passive: true });
  }
  log.addEventListener("scroll", () => {
    if (!holding) stuck = !away && below() < 40;
    if (log.scrollTop < NEAR && first() > 1) load(`&before=${first()}`, true);
    else if (away && below() < NEAR) newer();
    show();
  }, { passive: true });
  pill.addEventListener("click", () => (away ? toLive() : jump()));
  new ResizeObserver(() => { if (stuck) toEnd(); }).observe(log);

  // ---- live ----
  let wait = 250;
  function connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws/sessions/${encodeURIComponent(session)}/log?after=${newest}`);
    socket.onopen = () => { wait = 250; log.dataset.connected = "true"; };
    socket.onmessage = async (event) => {
      const frames = JSON.parse(event.data);
      if (frames.behind) { await toLive(); return; }
      for (const frame of frames) {
        if (frame.last <= newest) continue;
        if (!away && frame.first > last() + 1) away = true;
        if (!away && !stuck && total() >= MOUNTED) away = true; // do not take away what is being read
        if (!away) { log.querySelector(":scope > .teach")?.remove(); append(frame); }
        newest = frame.last;
        log.dataset.atMs = frame.at_ms;
      }
      if (stuck) { trim(true); toEnd(); } else show();
    };
    socket.onclose = (event) => {
      delete log.dataset.connected;
      if (event.code === 1008) return; // refused: the session is gone, or we are logged out
      setTimeout(connect, wait + Math.random() * 100);
      wait = Math.min(wait * 2, 5000);
    };
  }

  learn(log);
  settle();
  jump();
  if ("live" in log.dataset) connect(); else stuck = false;
})();
