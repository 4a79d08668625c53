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
    if (card) seek(Number(card.dataset.seek));
  });

  // Errors of a video do not bubble, but they can be captured.
  document.addEventListener("error", (event) => {
    if (event.target !== player()) return;
    event.target.parentElement.querySelector(".rg-unplayable").hidden = false;
  }, true);

  // A plot announces clicks in its own way, and is made anew for each answer.
  setInterval(() => {
    for (const plot of document.querySelectorAll("#timeline .js-plotly-plot")) {
      if (plot.dataset.listens || !plot.on) continue;
      plot.dataset.listens = "yes";
      plot.on("plotly_click", (data) => seek(Number(data.points[0].customdata)));
    }
  }, 500);
})();
