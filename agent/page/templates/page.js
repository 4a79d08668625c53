(() => {
  const player = () => document.querySelector("#player video");

  function seek(seconds) {
    const video = player();
    if (!video) return;
    video.currentTime = seconds;
    video.play().catch(() => {});
    video.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  document.addEventListener("click", (event) => {
    const card = event.target.closest("[data-seek]");
    if (card && !card.disabled) seek(Number(card.dataset.seek));
  });

  // Errors of a video do not bubble, but they can be captured.
  document.addEventListener("error", (event) => {
    if (event.target !== player()) return;
    event.target.parentElement.querySelector(".rg-unplayable").hidden = false;
  }, true);

  // The chat stands in the address, so that a reload and a bookmark find it again.
  function keepAddress() {
    const chat = document.querySelector("#history [data-chat]")?.dataset.chat;
    const address = new URL(location.href);
    if (chat === undefined || chat === (address.searchParams.get("chat") ?? "")) return;
    if (chat) address.searchParams.set("chat", chat);
    else address.searchParams.delete("chat");
    history.replaceState(null, "", address);
  }

  // Moments of another video than the one in the player lead nowhere.
  function markMoments() {
    const shown = document.querySelector("#player [data-video]")?.dataset.video;
    for (const moment of document.querySelectorAll(".rg-moment"))
      moment.disabled = moment.dataset.video !== shown;
  }

  // A plot announces clicks in its own way, and is made anew for each answer.
  setInterval(() => {
    keepAddress();
    markMoments();
    for (const plot of document.querySelectorAll("#timeline .js-plotly-plot")) {
      if (plot.dataset.listens || !plot.on) continue;
      plot.dataset.listens = "yes";
      plot.on("plotly_click", (data) => seek(Number(data.points[0].customdata)));
    }
  }, 500);
})();
