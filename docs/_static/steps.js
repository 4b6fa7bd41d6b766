// The explorers' drawings answer to the pointer, as in a notebook; those of an explorer with steps,
// which were all made when the site was built, can be stepped through.

import { move, touch } from "./touch.js";

for (const panel of document.querySelectorAll(".swin-panel")) touch(panel);

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
    const before = new Map();
    for (const part of panels[now].querySelectorAll("[data-key]"))
      before.set(part.dataset.key, part.getBBox());
    panels[now].hidden = true;
    now = number;
    panels[now].hidden = false;
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) move(panels[now], before);
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
