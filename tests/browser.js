// What tests/browser.py asks of a page that shows a notebook, in JupyterLab or in Notebook 7.
// Every promise here ends by itself: playwright waits for ever for what a page evaluates.

window.swin = {
  panel: () => window.jupyterapp?.shell.currentWidget,
  kernel: () => swin.panel()?.sessionContext?.session?.kernel,

  within(seconds, what, promise) {
    const late = new Promise((_, fail) =>
      setTimeout(() => fail(new Error(`${what} took more than ${seconds} s`)), 1000 * seconds)
    );
    return Promise.race([promise, late]);
  },

  // By a timer and not by frames, of which a page in the background has none.
  async until(condition, seconds = Infinity) {
    const deadline = performance.now() + 1000 * seconds;
    while (!condition() && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 15));
  },

  // Before a kernel is connected its status may say idle, and "run all" asks which kernel to take.
  isReady() {
    const kernel = swin.kernel();
    const cells = swin.panel()?.content?.widgets?.length ?? 0;
    return (
      kernel?.connectionStatus === "connected" &&
      kernel.status === "idle" &&
      cells > 0 &&
      document.querySelectorAll(".jp-Notebook .jp-Cell").length === cells
    );
  },

  // Runs these cells of the page's notebook, one after the other, or all that it has; `visited` then
  // says "done" or what went wrong.
  async visit(opening, running, cells = null) {
    try {
      await swin.within(opening, "opening", swin.until(() => window.jupyterapp));
      await swin.within(opening, "restoring the page", window.jupyterapp.restored);
      await swin.within(opening, "starting the kernel", swin.until(swin.isReady));
      const { commands } = window.jupyterapp;
      await commands.execute("notebook:clear-all-cell-outputs"); // nothing stored may pass as new
      const run = cells ? swin.run(cells) : commands.execute("notebook:run-all-cells");
      await swin.within(running, "running the cells", run);
      swin.visited = "done";
    } catch (error) {
      swin.visited = String(error);
    }
  },

  async run(cells) {
    for (const cell of cells) {
      swin.panel().content.deselectAll();
      swin.panel().content.activeCellIndex = cell;
      await window.jupyterapp.commands.execute("notebook:run-cell");
    }
  },

  save: (seconds) =>
    swin.within(seconds, "saving", window.jupyterapp.commands.execute("docmanager:save")),

  async restart(seconds) {
    await swin.within(seconds, "a new kernel", swin.kernel().restart());
    await swin.within(seconds, "a new kernel", swin.until(swin.isReady));
  },

  cells: () => Array.from(swin.panel().content.model.cells, (cell) => cell.toJSON()),

  // Ends when the kernel has done this and all that was sent to it before, and said so.
  async ask(code, seconds) {
    const future = swin.kernel().requestExecute({ code, silent: true, store_history: false });
    const reply = await swin.within(seconds, "a reply of the kernel", future.done);
    const { status, ename, evalue } = reply.content;
    if (status !== "ok") throw new Error(`the kernel says ${ename}: ${evalue}`);
  },

  explorer: (cell) => swin.panel().content.widgets[cell].node.querySelector(".swin-explorer"),
  content: (cell) => swin.explorer(cell)?.querySelector(".swin-picture"),

  widths: (cell) => [swin.explorer(cell).clientWidth, swin.explorer(cell).scrollWidth],

  // What the controls in the page say, by name; the same as `controls_of` in browser.py.
  controls(cell) {
    const said = (box) => {
      const field = box.querySelector("input[type=number]");
      const slider = box.querySelector("input[type=range]");
      const list = box.querySelector("select");
      const check = box.querySelector("input[type=checkbox]");
      const label = box.querySelector("span")?.textContent;
      const numbers = (part) => [+part.value, +part.min, +part.max];
      if (field) return { label, field: numbers(field), slider: numbers(slider) };
      if (check) return { label, checked: check.checked };
      if (list) {
        const options = Array.from(list.options, (option) => option.textContent);
        return { label, options, chosen: options[list.selectedIndex] };
      }
      const buttons = [...box.querySelectorAll("[aria-pressed]")];
      const chosen = buttons.find((button) => button.getAttribute("aria-pressed") === "true");
      return {
        label: box.getAttribute("aria-label"),
        options: buttons.map((button) => button.textContent),
        chosen: chosen?.textContent,
      };
    };
    const boxes = swin.explorer(cell).querySelectorAll(".swin-control");
    return Object.fromEntries(Array.from(boxes, (box) => [box.dataset.name, said(box)]));
  },

  // In which way the page differs from this; empty when it does not.
  difference(cell, { controls, svg, caption }) {
    const content = swin.content(cell);
    if (!content?.firstElementChild) return "there is no picture";
    const shown = swin.controls(cell);
    for (const name of new Set([...Object.keys(shown), ...Object.keys(controls)])) {
      const [here, wanted] = [JSON.stringify(shown[name]), JSON.stringify(controls[name])];
      if (here !== wanted) return `control ${name} is ${here}, wanted ${wanted}`;
    }
    const captions = Array.from(
      swin.explorer(cell).querySelectorAll("figcaption"),
      (c) => c.textContent
    );
    if (captions.join() !== caption) return `caption '${captions}', wanted '${caption}'`;
    return swin.plain(content) === swin.rewritten(svg) ? "" : "the picture is another one";
  },

  // The picture without what the hand that is on it lights up.
  plain(content) {
    const copy = content.cloneNode(true);
    for (const mark of copy.querySelectorAll(".swin-marks, [role=option]")) mark.remove();
    for (const field of copy.querySelectorAll("g")) {
      field.removeAttribute("aria-activedescendant");
      field.removeAttribute("data-lm-suppress-shortcuts");
    }
    return copy.innerHTML;
  },

  // How the page still differs after so many seconds; empty as soon as it does not.
  async settle(cell, wanted, seconds) {
    const difference = () => swin.difference(cell, wanted);
    await swin.until(() => difference() === "", seconds);
    return difference();
  },

  // As the browser writes it, so that spelling (quotes, empty elements) makes no difference.
  rewritten(html) {
    if (swin.lastHtml !== html) {
      const element = document.createElement("div");
      element.innerHTML = html;
      swin.lastRewritten = element.innerHTML;
      swin.lastHtml = html;
    }
    return swin.lastRewritten;
  },

  // What is lit, as "panel row column".
  lit: (cell) =>
    Array.from(swin.content(cell).querySelectorAll(".swin-marks rect"), (r) => r.dataset.place),

  // From now on, the milliseconds from every key to the frame that shows the next picture.
  startTiming(cell) {
    let pressed = null;
    let pictures = 0;
    const key = (event) => (pressed ??= event.timeStamp);
    const times = [];
    const observer = new MutationObserver(() => {
      if (pressed === null) return;
      const since = pressed;
      pressed = null;
      pictures += 1;
      requestAnimationFrame(() => times.push(performance.now() - since));
    });
    document.addEventListener("keydown", key, true);
    observer.observe(swin.content(cell), { childList: true });
    // The last picture may be in the page and its frame yet to come.
    swin.stopTiming = async (seconds) => {
      await swin.until(() => times.length === pictures, seconds);
      document.removeEventListener("keydown", key, true);
      observer.disconnect();
      return times;
    };
  },
};
