// Pictures that can be touched: what the pointer or the keyboard is on lights up with all that
// belongs to it. `touch` needs no kernel, and serves the web site as well; `render`, below, is
// the live widget: controls, clicks, drags, motion. What a picture says about its places is
// written by swinlib/lab/drawing.py, which explains it.

const SVG = "http://www.w3.org/2000/svg";
const CLICK = 4; // pixels that a hand may tremble and still click

// A grid of places in a picture.
class Field {
  constructor(element) {
    Object.assign(this, JSON.parse(element.dataset.field));
    this.element = element;
    this.linked = [...this.rows, ...this.columns, ...(this.cells ?? [])].some((part) => part.about);
  }

  // One of its places: what it is about, what a click sets, its name and its box.
  place(row, column) {
    const parts = [this.rows[row], this.columns[column]];
    if (this.cells) parts.push(this.cells[row * this.columns.length + column]);
    return {
      id: `${this.panel} ${row} ${column}`,
      about: new Set(parts.flatMap((part) => part.about?.split(" ") ?? [])),
      sets: Object.assign({}, ...parts.map((part) => part.sets)),
      name: parts.map((part) => part.name).filter(Boolean).join(", "),
      box: [this.x + column * this.width, this.y + row * this.height, this.width, this.height],
    };
  }

  at(x, y) {
    const within = (value, size, count) => Math.min(Math.max(Math.floor(value / size), 0), count - 1);
    return [
      within(y - this.y, this.height, this.rows.length),
      within(x - this.x, this.width, this.columns.length),
    ];
  }
}

// Two places belong together if one is about all that the other is about.
function related(a, b) {
  const [less, more] = a.size <= b.size ? [a, b] : [b, a];
  return less.size > 0 && [...less].every((thing) => more.has(thing));
}

// Lets the picture in `host` be touched; `act(field, place, how)` is told of clicks ("click"), of
// the pointer's way ("over"), and of drags ("drag", with the way in the picture's units).
function touch(host, act = () => {}) {
  let fields = [];
  let pressed = null;
  let focused = null; // the field with the keyboard, and where in it
  let pointer = null; // where it is
  const picture = () => host.querySelector("svg");

  const load = () => {
    fields = [...host.querySelectorAll(".swin-field")].map((element) => new Field(element));
    if (!pointer || pressed) return;
    const target = document.elementFromPoint(pointer.clientX, pointer.clientY);
    if (host.contains(target)) light(under({ ...pointer, target })?.place);
  };

  const light = (place) => {
    picture()?.querySelector(".swin-marks")?.remove();
    if (!place) return;
    const marks = picture().appendChild(document.createElementNS(SVG, "g"));
    marks.setAttribute("class", "swin-marks");
    marks.setAttribute("pointer-events", "none");
    mark(marks, place);
    for (const field of fields.filter((field) => field.linked))
      for (let row = 0; row < field.rows.length; row++)
        for (let column = 0; column < field.columns.length; column++) {
          const other = field.place(row, column);
          if (other.id !== place.id && related(place.about, other.about)) mark(marks, other);
        }
  };

  const mark = (marks, { id, box: [x, y, width, height] }) => {
    const rect = marks.appendChild(document.createElementNS(SVG, "rect"));
    const shape = { x, y, width, height, fill: "#ffe600", "fill-opacity": 0.3 };
    const look = { stroke: "#b30059", "stroke-width": Math.min(2.5, width / 4, height / 4) };
    for (const [name, value] of Object.entries({ ...shape, ...look }))
      rect.setAttribute(name, value);
    rect.dataset.place = id;
  };

  // What screen readers are told the field's chosen place is.
  const focus = (field, row, column) => {
    row = Math.min(Math.max(row, 0), field.rows.length - 1);
    column = Math.min(Math.max(column, 0), field.columns.length - 1);
    focused = { panel: field.panel, row, column };
    const place = field.place(row, column);
    let option = field.element.querySelector("[role=option]");
    option ??= field.element.appendChild(document.createElementNS(SVG, "rect"));
    const [x, y, width, height] = place.box;
    const look = { fill: "none", stroke: "#b30059", "stroke-width": 3, "stroke-dasharray": "5 2" };
    const said = { role: "option", "aria-selected": true, "aria-label": place.name };
    option.id ||= `swin-${Math.random().toString(36).slice(2)}`;
    for (const [name, value] of Object.entries({ x, y, width, height, ...look, ...said }))
      option.setAttribute(name, value);
    field.element.setAttribute("aria-activedescendant", option.id);
    light(place);
    return place;
  };

  const under = (event) => {
    const element = event.target.closest?.(".swin-field");
    const field = fields.find((field) => field.element === element);
    if (!field) return null;
    const { x, y } = inside(event);
    const [row, column] = field.at(x, y);
    return { field, row, column, place: field.place(row, column) };
  };
  const inside = (event) =>
    new DOMPoint(event.clientX, event.clientY).matrixTransform(
      picture().getScreenCTM().inverse()
    );

  const handlers = {
    pointermove(event) {
      if (pressed) {
        const { x, y } = inside(event);
        const [right, down] = [x - pressed.from.x, y - pressed.from.y];
        const { field, place } = pressed;
        const far = Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > CLICK;
        if ((pressed.far ||= far) && field.drag) act(field, place, "drag", { right, down });
        return;
      }
      pointer = { clientX: event.clientX, clientY: event.clientY };
      const found = under(event);
      light(found?.place);
      if (found?.field.follow) act(found.field, found.place, "over");
    },
    pointerdown(event) {
      const found = under(event);
      if (!found || event.button) return;
      pressed = { ...found, from: inside(event), x: event.clientX, y: event.clientY };
      focused = { panel: found.field.panel, row: found.row, column: found.column };
      act(found.field, found.place, "press");
      host.setPointerCapture(event.pointerId);
    },
    pointerup(event) {
      if (!pressed) return;
      const { field, place, far } = pressed;
      pressed = null;
      act(field, place, far ? "drop" : "click");
    },
    pointercancel() {
      if (pressed) act(pressed.field, pressed.place, "drop");
      pressed = null;
    },
    pointerleave() {
      pointer = null;
      if (!pressed) light(null);
    },
    focusin(event) {
      const field = fields.find((field) => field.element === event.target);
      if (!field) return;
      const same = focused?.panel === field.panel;
      focus(field, ...(same ? [focused.row, focused.column] : [0, 0]));
    },
    focusout(event) {
      event.target.querySelector?.("[role=option]")?.remove();
      light(null);
    },
    keydown(event) {
      const field = fields.find((field) => field.element === event.target);
      if (!field || !focused) return;
      pointer = null; // the keyboard has the word
      const ways = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      const { row, column } = focused;
      if (event.key in ways) {
        const [down, right] = ways[event.key];
        const place = focus(field, row + down, column + right);
        if (field.follow) act(field, place, "over");
      } else if (event.key === "Enter" || event.key === " ")
        act(field, field.place(row, column), "click");
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
  };
  for (const [name, handler] of Object.entries(handlers)) host.addEventListener(name, handler);
  load();
  return load;
}

// --- with a kernel --------------------------------------------------------------------------------

const MOVE = 400; // milliseconds for a motion
const PATIENCE = 2500; // milliseconds until an idle kernel should have answered
const BEAT = 1400; // milliseconds from step to step of what plays

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// One control for what Python says of it; `show` brings it up to date.
function makeControl(spec, tell) {
  const say = (value) => tell({ [spec.name]: value });
  const label = make("span", { textContent: spec.label });
  if (spec.kind === "switch") {
    const box = make("input", { type: "checkbox", onchange: () => say(box.checked) });
    return { element: make("label", {}, box, label), show: ({ value }) => (box.checked = value) };
  }
  if (spec.kind === "choice" && spec.play) {
    const buttons = spec.options.map(([name, value]) =>
      make("button", { textContent: name, onclick: () => say(value) })
    );
    const show = (now) =>
      buttons.forEach((b, i) => b.setAttribute("aria-pressed", now.options[i][1] === now.value));
    return { element: make("span", { role: "group", ariaLabel: spec.label }, ...buttons), show };
  }
  if (spec.kind === "choice") {
    const list = make("select", { onchange: () => say(spec.options[list.selectedIndex][1]) });
    list.append(...spec.options.map(([name]) => make("option", { textContent: name })));
    const show = (now) => {
      list.selectedIndex = now.options.findIndex(([, value]) => value === now.value);
    };
    return { element: make("label", {}, label, list), show };
  }
  const take = (part) => {
    const value = Math.round(Number(part.value));
    if (part.value === "" || Number.isNaN(value)) return show(now);
    const wanted = Math.min(Math.max(value, now.low), now.high);
    field.value = slider.value = wanted;
    if (wanted !== said) say((said = wanted));
  };
  let said = spec.value; // an arrow key is an input and a change: said once
  // Keys that write a number write it whole; arrows and the small buttons change it at once.
  const field = make("input", {
    type: "number",
    oninput: (event) => void (event.inputType || take(field)),
    onchange: () => take(field),
    onblur: () => take(field), // no change where the number is the one that the browser saw last
    onkeydown: (event) => void (event.key === "Enter" && take(field)), // false would stop the key
  });
  const slider = make("input", { type: "range", ariaLabel: spec.label, oninput: () => take(slider) });
  let now = spec;
  const show = (next) => {
    now = next;
    said = now.value;
    for (const part of [field, slider]) {
      [part.min, part.max] = [now.low, now.high];
      if (part.value !== String(now.value)) part.value = now.value;
    }
  };
  const element = make("span", {}, make("label", {}, label, field), slider);
  return { element, show };
}

function render({ model, el }) {
  const parts = new Map(); // name: control
  const controls = make("div", { className: "swin-controls" });
  const rare = make("div", { className: "swin-controls" });
  const picture = make("div", { className: "swin-picture" });
  const caption = make("figcaption", { ariaLive: "polite" });
  const again = make("p", { className: "swin-again", textContent: "Run this cell to make it move." });
  const root = make("div", { className: "swin-explorer" });
  // Arrow keys are ours, not the notebook's, which looks at what has the focus and then outwards.
  root.dataset.lmSuppressShortcuts = "true";
  root.addEventListener("focusin", (event) => (event.target.dataset.lmSuppressShortcuts = "true"));
  root.append(controls, make("figure", {}, picture, again, caption), rare);
  el.append(root);

  // One message at a time, and of what comes meanwhile only the last: a drag ends where it ends.
  let waiting = false;
  let since = 0; // when the message that waits was sent
  let next = null;
  const tell = (values) => {
    if (waiting) next = { ...next, ...values };
    else {
      waiting = true;
      since = performance.now();
      model.send(values);
    }
  };
  const answered = () => {
    live(true);
    waiting = false;
    const values = next;
    next = null;
    if (values) tell(values);
    else showControls();
  };

  // It lives as long as Python answers. A busy kernel answers later; one that has restarted, or that
  // was never told of this widget, does not.
  const session = model.widget_manager?.context?.sessionContext;
  const live = (yes) => root.classList.toggle("swin-still", !yes);
  const status = (_, now) => /restarting|terminating|dead/.test(now) && live(false);
  session?.statusChanged?.connect(status);
  const listening = setInterval(() => {
    // Not one that was sent just now: controls that go for a moment lose the keyboard.
    const late = waiting && performance.now() - since > PATIENCE;
    if (late && session?.session?.kernel?.status !== "busy") live(false);
  }, PATIENCE);

  const say = (name) => model.get("panel").find((spec) => spec.name === name);
  const showControls = () => {
    if (!waiting || !next) for (const spec of model.get("panel")) parts.get(spec.name).show(spec);
  };
  let player = null;
  const play = (spec, button) => {
    const stop = () => {
      clearInterval(player);
      player = null;
      button.textContent = "▶ play";
    };
    if (player) return stop();
    const values = () => {
      const now = say(spec.name);
      return now.options?.map(([, value]) => value) ?? range(now.low, now.high);
    };
    const step = () => {
      const all = values();
      const place = all.indexOf(say(spec.name).value) + 1;
      if (place >= all.length - 1) stop();
      if (place < all.length) tell({ [spec.name]: all[place] });
    };
    const all = values();
    button.textContent = "❚❚ pause";
    player = setInterval(step, BEAT);
    if (say(spec.name).value === all.at(-1)) tell({ [spec.name]: all[0] });
    else step();
    return null;
  };
  for (const spec of model.get("panel")) {
    const control = makeControl(spec, tell);
    control.element.classList.add("swin-control", `swin-${spec.kind}`);
    control.element.dataset.name = spec.name;
    if (spec.play) {
      const button = make("button", { textContent: "▶ play", className: "swin-play" });
      button.onclick = () => play(spec, button);
      control.element.append(button);
    }
    parts.set(spec.name, control);
    (spec.rare ? rare : controls).append(control.element);
  }
  const reset = make("button", { textContent: "reset", title: "back to the lesson's example" });
  reset.dataset.name = "reset";
  reset.onclick = () => tell({ reset: true });
  controls.append(reset);

  let dragged = null; // what the dragged controls said when the drag began
  const act = (field, place, how, way) => {
    if (how === "press") dragged = { last: "" };
    else if (how === "drop") dragged = null;
    else if (how === "drag") {
      // From where all controls stood when the drag began: dragged back, all is as it was.
      dragged.from ??= Object.fromEntries(model.get("panel").map(({ name, value }) => [name, value]));
      dragged.start ??= Object.fromEntries(field.drag.map(({ name }) => [name, valueOf(say(name))]));
      const values = {};
      for (const { name, axis, pixels, step, low, high } of field.drag) {
        const units = Math.round(way[axis] / pixels);
        values[name] ??= dragged.start[name];
        values[name] += step * Math.min(Math.max(units, low), high);
      }
      for (const name in values) values[name] = fitting(say(name), values[name]);
      const { from, last } = dragged;
      dragged.last = JSON.stringify(values);
      if (dragged.last !== last) tell({ ...values, from });
    } else {
      if (how === "click") dragged = null;
      if (Object.keys(place.sets).length && !(how === "over" && same(place.sets)))
        tell(place.sets);
    }
  };
  const same = (sets) => Object.entries(sets).every(([name, value]) => say(name).value === value);

  let load = null;
  const showPicture = () => {
    const keep = new Map();
    for (const element of picture.querySelectorAll("[data-key]"))
      keep.set(element.dataset.key, element.getBBox());
    const images = new Map();
    for (const image of picture.querySelectorAll("image"))
      images.set(image.getAttribute("href"), image);
    const hadFocus = picture.contains(document.activeElement) && document.activeElement;
    picture.innerHTML = model.get("svg");
    for (const image of picture.querySelectorAll("image")) {
      const old = images.get(image.getAttribute("href")); // decoded already: no white flash
      if (!old) continue;
      for (const { name, value } of image.attributes) old.setAttribute(name, value);
      image.replaceWith(old);
      images.delete(image.getAttribute("href"));
    }
    caption.textContent = model.get("caption");
    load ? load() : (load = touch(picture, act));
    const panel = hadFocus && hadFocus.dataset?.panel;
    if (panel) picture.querySelector(`[data-panel="${panel}"]`)?.focus({ preventScroll: true });
    if (keep.size && !dragged && !matchMedia("(prefers-reduced-motion: reduce)").matches)
      move(picture, keep);
  };

  showPicture();
  showControls();
  model.on("change:svg", showPicture);
  model.on("change:panel", showControls);
  // As a part of the state it comes behind what it answers; a message of its own may overtake that,
  // and a control that then showed the old value would say it again.
  model.on("change:answers", answered);
  remember(model.widget_manager);
  tell({}); // is anybody there?
  return () => {
    clearInterval(player);
    clearInterval(listening);
    session?.statusChanged?.disconnect(status);
  };
}

const range = (low, high) => Array.from({ length: high - low + 1 }, (_, i) => low + i);
const valueOf = (spec) =>
  spec.options ? spec.options.findIndex(([, value]) => value === spec.value) : spec.value;

function fitting(spec, value) {
  const [low, high] = spec.options ? [0, spec.options.length - 1] : [spec.low, spec.high];
  value = Math.min(Math.max(value, low), high);
  return spec.options ? spec.options[value][1] : value;
}

// What keeps its key glides from where it was; what is new comes from where it says, or appears.
function move(picture, before) {
  const timing = { duration: MOVE, easing: "ease-in-out" };
  const elements = [...picture.querySelectorAll("[data-key]")];
  const now = new Map(elements.map((element) => [element.dataset.key, element.getBBox()]));
  for (const element of elements) {
    const { key, from } = element.dataset;
    const old = before.get(key) ?? before.get(from) ?? now.get(from);
    if (!old) {
      element.animate([{ opacity: 0 }, { opacity: 1 }], timing);
      continue;
    }
    const box = now.get(key);
    const [wide, high] = [old.width / (box.width || 1), old.height / (box.height || 1)];
    const [x, y] = [old.x - wide * box.x, old.y - high * box.y];
    if (Math.abs(old.x - box.x) + Math.abs(old.y - box.y) + Math.abs(wide - 1) < 0.01) continue;
    const start = `translate(${x}px, ${y}px) scale(${wide}, ${high})`;
    element.animate([{ transform: start }, { transform: "none" }], timing);
  }
}

// JupyterLab and Notebook 7 keep a widget's view in the notebook, and its state only if a setting
// says so; without the state the view is an error tomorrow. So the state goes along with every save.
const remembered = new WeakSet();
function remember(manager) {
  const context = manager?.context;
  if (!context?.saveState?.connect || !context.model?.setMetadata || remembered.has(context)) return;
  remembered.add(context);
  context.saveState.connect((_, state) => {
    if (state !== "started") return;
    const states = manager.get_state_sync({ drop_defaults: true });
    context.model.setMetadata("widgets", { "application/vnd.jupyter.widget-state+json": states });
  });
}

export default { render };
