(() => {
  const $ = (selector) => document.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const player = () => $("#player video");
  const shownVideo = () => $("#player [data-video]")?.dataset.video;
  const narrow = () => matchMedia("(max-width: 800px)").matches;

  function seek(seconds) {
    const video = player();
    if (!video) return;
    video.currentTime = seconds;
    video.play().catch(() => {});
    if (!narrow()) video.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  function say(text) {
    const told = $("#rg-told");
    told.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => (told.textContent = ""), 2500);
  }

  // The address of a moment: it opens the video at that time.
  function addressOf(video, seconds) {
    const address = new URL(location.pathname, location.href);
    address.searchParams.set("video", video);
    address.searchParams.set("t", Number(seconds).toFixed(1));
    return address;
  }

  async function copyMoment(video, seconds) {
    const address = addressOf(video, seconds).href;
    try {
      await navigator.clipboard.writeText(address);
      say("The link to this moment is copied.");
    } catch {
      prompt("The link to this moment:", address); // where a browser keeps the clipboard to itself
    }
  }

  // A moment of another video than the one in the player opens that one, in the same chat.
  function openMoment({ video, seek: seconds }) {
    if (!video || video === shownVideo()) return seek(Number(seconds));
    if ($("#stop") && !$("#stop").disabled) return say("Wait for the answer, or stop it, first.");
    const address = addressOf(video, seconds);
    const chat = $("#history [data-chat]")?.dataset.chat;
    if (chat) address.searchParams.set("chat", chat);
    location.assign(address);
  }

  // A question of the page's own is put as if it were typed.
  function ask(question) {
    const box = $("#question textarea");
    box.value = question;
    box.dispatchEvent(new Event("input", { bubbles: true }));
    requestAnimationFrame(() => $("#ask").click());
  }

  document.addEventListener("click", (event) => {
    const on = (selector) => event.target.closest(selector);
    const moment = on("[data-seek]");
    const copy = on("[data-copy-video]");
    const question = on("[data-ask]");
    const found = on("[data-open]"); // of another tab; the server opens those of other videos
    if (found && found.dataset.open === shownVideo()) seek(Number(found.dataset.time));
    if (copy) copyMoment(copy.dataset.copyVideo, copy.dataset.copyTime ?? player()?.currentTime ?? 0);
    else if (question) ask(question.dataset.ask);
    else if (moment && !moment.disabled) openMoment(moment.dataset);
    else if (on("#keys-button")) $("#keys").showModal();
  });

  // Errors and loaded data of a video do not bubble, but they can be captured.
  document.addEventListener("error", (event) => {
    if (event.target !== player()) return;
    event.target.parentElement.querySelector(".rg-unplayable").hidden = false;
  }, true);
  document.addEventListener("loadedmetadata", (event) => {
    const start = event.target === player() && event.target.dataset.start;
    if (start) event.target.currentTime = Number(start);
  }, true);

  // The transcript: what is played is marked and kept in sight.
  document.addEventListener("timeupdate", (event) => {
    if (event.target !== player()) return;
    const now = event.target.currentTime + 0.05;
    const lines = all("#transcript li:not([hidden]) button");
    const at = lines.findLast((line) => Number(line.dataset.seek) <= now);
    const old = $("#transcript [aria-current]");
    if (!at || at === old) return;
    old?.removeAttribute("aria-current");
    at.setAttribute("aria-current", "true");
    const list = at.closest("ol");
    if ($("#follow")?.checked) list.scrollTop = at.parentElement.offsetTop - list.clientHeight / 3;
  }, true);

  function mark(line, wanted) {
    const text = line.textContent;
    const at = wanted ? text.toLowerCase().indexOf(wanted) : -1;
    if (at < 0) return void (line.textContent = text);
    const found = document.createElement("mark");
    found.textContent = text.slice(at, at + wanted.length);
    line.replaceChildren(text.slice(0, at), found, text.slice(at + wanted.length));
  }

  function findLines() {
    const wanted = $("#find").value.trim().toLowerCase();
    const off = all("#transcript input[data-kind]").filter((box) => !box.checked).map((box) => box.dataset.kind);
    let count = 0;
    for (const line of all("#transcript li")) {
      const words = line.querySelector(".rg-line");
      line.hidden = off.includes(line.dataset.kind) || !words.textContent.toLowerCase().includes(wanted);
      mark(words, line.hidden ? "" : wanted);
      count += !line.hidden;
    }
    $("#transcript .rg-found").textContent = `${count} ${count === 1 ? "line" : "lines"}`;
  }

  function findVideos(wanted) {
    let count = 0;
    for (const card of all("#shelf li")) {
      card.hidden = !card.dataset.name.includes(wanted.trim().toLowerCase());
      count += !card.hidden;
    }
    const none = $("#shelf .rg-none");
    if (none) none.hidden = count > 0;
  }

  document.addEventListener("input", (event) => {
    if (event.target.closest("#transcript .rg-find") && event.target.id !== "follow") findLines();
    if (event.target.closest("#path")) findVideos(event.target.value);
    if (event.target.id === "keys-on") localStorage.setItem("reelgraph keys", event.target.checked ? "on" : "off");
  });

  // Keyboard: single keys, while nothing is being written; they can be turned off.
  function stepMoment(step) {
    const cards = all("#answer .rg-card:enabled");
    if (!cards.length) return;
    const next = (cards.indexOf(document.activeElement) + step + cards.length) % cards.length;
    const card = cards[document.activeElement.matches("#answer .rg-card") || step > 0 ? next : cards.length - 1];
    card.focus();
    card.click();
  }
  const skip = (seconds) => player() && (player().currentTime += seconds);
  const KEYS = {
    "/": () => $("#question textarea").focus(),
    f: () => $("#find")?.focus(),
    k: () => player() && (player().paused ? player().play() : player().pause()),
    j: () => skip(-10),
    l: () => skip(10),
    n: () => stepMoment(1),
    p: () => stepMoment(-1),
    c: () => $("#copy-moment")?.click(),
    "?": () => $("#keys").showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog");
    if (event.key === "Escape" && writing && !writing.matches("dialog")) writing.blur();
    if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!KEYS[event.key] || !$("#bench")?.offsetParent || localStorage.getItem("reelgraph keys") === "off") return;
    event.preventDefault();
    KEYS[event.key]();
  });

  // The chat stands in the address, so that a reload and a bookmark find it again.
  function keepAddress() {
    const chat = $("#history [data-chat]")?.dataset.chat;
    const address = new URL(location.href);
    if (chat === undefined || chat === (address.searchParams.get("chat") ?? "")) return;
    for (const name of ["chat", "video", "t"]) address.searchParams.delete(name);
    if (chat) address.searchParams.set("chat", chat);
    history.replaceState(null, "", address);
  }

  // The end of the conversation comes into view when a question is put.
  let lastQuestion = "";
  function followTalk() {
    const question = $("#answer .rg-asked")?.textContent ?? "";
    if (question && question !== lastQuestion)
      $("#answer").scrollIntoView({ block: "nearest", behavior: "smooth" });
    lastQuestion = question;
  }

  // A plot announces clicks in its own way, and is made anew for each answer.
  setInterval(() => {
    keepAddress();
    followTalk();
    const keys = $("#keys-on");
    if (keys && !$("#keys").open) keys.checked = localStorage.getItem("reelgraph keys") !== "off";
    for (const plot of all("#timeline .js-plotly-plot")) {
      if (plot.dataset.listens || !plot.on) continue;
      plot.dataset.listens = "yes";
      plot.on("plotly_click", (data) => seek(Number(data.points[0].customdata)));
    }
  }, 500);
})();
