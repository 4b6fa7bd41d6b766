// Steps through an explorer's drawings, which were all made when the site was built.
for (const figure of document.querySelectorAll("[data-steps]")) {
  const panels = [...figure.querySelectorAll("[data-step]")];
  let now = panels.findIndex((panel) => !panel.hidden), timer = null;

  const button = (text, label, action) => {
    const made = document.createElement("button");
    made.className = "btn btn-sm btn-outline-primary";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", action);
    return made;
  };
  const show = (number) => {
    panels[now].hidden = true;
    now = number;
    panels[now].hidden = false;
    name.textContent = panels[now].dataset.step;
    back.disabled = now === 0;
    on.disabled = now === panels.length - 1;
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "play";
  };
  const back = button("‹", "one step back", () => { stop(); show(now - 1); });
  const on = button("›", "one step on", () => { stop(); show(now + 1); });
  const play = button("play", "play all steps", () => {
    if (timer !== null) return stop();
    show(now === panels.length - 1 ? 0 : now);
    play.textContent = "stop";
    timer = setInterval(() => {
      if (now + 1 < panels.length) show(now + 1);
      if (now + 1 === panels.length) stop();
    }, 1600);
  });
  const name = document.createElement("output");
  const controls = document.createElement("div");
  controls.className = "swin-controls";
  controls.append(back, on, play, name);
  figure.prepend(controls);
  show(now);
}
