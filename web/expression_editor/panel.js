// The editor as a whole: face, presets, sliders, what was copied from a photo, keyframes.

import { Frames } from "./frames.js";
import { lastPicture, sliders } from "./server.js";
import { GROUPS, Slider, inWords } from "./sliders.js";
import { Presets } from "./presets.js";
import { Stage } from "./stage.js";
import { make } from "./style.js";
import { Timeline } from "./timeline.js";

const HEIGHT = 500; // pixels, until it is known
export const MARGIN = 6; // around the element
const PAUSE = 120; // milliseconds
const NEEDS_RUN = "This renderer draws when the node runs.";

export class Panel {
  constructor(inputs, node) {
    this.inputs = inputs;
    this.node = node;
    this.run = null; // what the last run told: {key, at_once, copied}
    this.rows = new Map();
    this.waiting = new Map(); // values that the node is not told yet
    this.frames = new Frames((picture, since) => this.show(picture, since), (words) => this.stage.say(words, true));
    this.stage = new Stage({
      turn: (right, down) => this.nudge({ yaw: -right, pitch: down }),
      look: (right, up) => this.nudge({ pupil_x: right, pupil_y: up }),
      compare: (on) => this.compare(on),
      run: node.run,
      reset: () => this.put({ pitch: 0, yaw: 0, roll: 0 }),
    });
    this.timeline = new Timeline({
      read: () => inputs.get("keyframes"),
      store: (text, soon) => (soon ? this.later("keyframes", text) : inputs.set("keyframes", text)),
      values: () => this.shownValues(),
      choose: (values) => this.put(values, true),
      seek: (seconds) => this.seek(seconds),
      stopped: () => this.draw(),
    });
    this.presets = new Presets((values) => this.put(values, true));
    this.groups = make("div", "tp-groups");
    this.groups.addEventListener("change", () => this.flush());
    this.copy = make("section", "tp-copy", { hidden: true });
    const numbers = make("button", "tp-inputs", {
      textContent: "123", title: "Show the node's inputs, to type numbers or to connect them", onclick: node.toggleNumbers,
    });
    const left = make("div", "tp-left", {}, this.stage.element, this.presets.element);
    const right = make("div", "tp-right", {}, numbers, this.groups, this.copy, this.timeline.element);
    this.inner = make("div", "tp-inner", {}, left, right);
    this.element = make("div", "tp-editor", {}, this.inner);
    this.height = HEIGHT;
    this.watch = new ResizeObserver(() => node.resized());
    this.watch.observe(this.inner);
    this.element.addEventListener("wheel", (event) => node.wheel(event), { passive: true });
    this.ready = sliders().then((known) => this.build(known), (error) => this.stage.say(error.message));
  }

  build({ sliders: known, presets }) {
    for (const [title, names] of Object.entries(GROUPS)) {
      const rows = Object.entries(names).map(([name, label]) => this.row(name, label, known[name]));
      this.groups.append(make("section", "tp-group", {}, make("h4", "", { textContent: title }), ...rows));
    }
    this.presets.build(presets);
    this.read();
  }

  row(name, label, known) {
    const slider = new Slider(label, known, (value, event) => {
      this.later(name, value);
      this.edited(event.timeStamp);
    });
    this.rows.set(name, slider);
    return slider.element;
  }

  // The node learns of a drag a few times a second, and of its end: the page does much for every value.
  later(name, value) {
    this.waiting.set(name, value);
    this.timer ??= setTimeout(() => this.flush(), PAUSE);
  }

  flush() {
    clearTimeout(this.timer);
    this.timer = undefined;
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const [name, value] of waiting) this.inputs.set(name, value);
  }

  values() {
    return Object.fromEntries([...this.rows].map(([name, slider]) => [name, slider.value]));
  }

  shownValues() {
    return Object.fromEntries(Object.entries(this.values()).filter(([, value]) => value));
  }

  // Set sliders; whole: all others to 0.
  put(values, whole = false) {
    for (const [name, slider] of this.rows) {
      if ((whole || name in values) && !this.inputs.linked(name)) this.set(name, slider.within(values[name] ?? 0));
    }
    this.edited(performance.now());
  }

  nudge(by) {
    for (const [name, step] of Object.entries(by)) {
      const slider = this.rows.get(name);
      if (!slider || this.inputs.linked(name)) continue;
      slider.show(slider.within(Math.round(10 * (slider.value + step)) / 10));
      this.later(name, slider.value);
    }
    this.edited(performance.now());
  }

  set(name, value) {
    this.waiting.delete(name);
    this.rows.get(name).show(value);
    this.inputs.set(name, value);
  }

  // The node's inputs changed from outside: a loaded workflow, a number box.
  read() {
    this.flush();
    for (const [name, slider] of this.rows) {
      slider.show(Number(this.inputs.get(name)) || 0);
      slider.lock(this.inputs.linked(name));
    }
    this.timeline.read();
    this.showCopied();
  }

  changed(name) {
    if (this.inputs.setting) return;
    this.read();
    if (this.rows.has(name) || name === "copy_amount") this.draw();
  }

  edited(since) {
    this.timeline.follow();
    this.draw(since);
  }

  draw(since) {
    this.ask({ values: this.values() }, since);
  }

  seek(seconds) {
    this.flush();
    this.ask({ keyframes: this.inputs.get("keyframes"), seconds });
  }

  ask(wanted, since) {
    if (!this.run) return;
    if (!this.run.at_once) return this.stage.say(NEEDS_RUN, true);
    this.frames.ask(this.run.key, { copy_amount: this.amount(), ...wanted }, since);
  }

  amount() {
    return Number(this.inputs.get("copy_amount") ?? 1);
  }

  compare(on) {
    if (!this.run?.at_once) return;
    if (on) this.ask({ values: {}, copy_amount: 0 });
    else this.draw();
  }

  show(picture, since) {
    this.stage.say("");
    this.stage.draw(picture);
    picture.close();
    const milliseconds = performance.now() - since;
    this.element.dispatchEvent(new CustomEvent("expression-frame", { bubbles: true, detail: { milliseconds } }));
  }

  async ran(told) {
    if (!told) return;
    await this.ready;
    this.run = told;
    this.showCopied();
    if (told.at_once) {
      this.draw();
      return this.presets.draw(told.key, () => this.frames.busy);
    }
    this.presets.forget();
    try {
      this.show(await createImageBitmap(await lastPicture(told.key)), performance.now());
    } catch (error) {
      this.stage.say(error.message, true);
    }
  }

  showCopied() {
    const copied = Object.entries(this.run?.copied ?? {});
    this.copy.hidden = !this.inputs.connected("copy_from");
    if (this.copy.hidden) return;
    const told = make("p", "", { textContent: inWords(this.run?.copied ?? {}) || "Run, and what the photo's face differs by is told here." });
    const amount = new Slider("Amount", { low: 0, high: 1.5, step: 0.05, meaning: "How much of it lies under the sliders" }, (value, event) => {
      this.inputs.set("copy_amount", value);
      this.draw(event.timeStamp);
    });
    amount.show(this.amount());
    const take = make("button", "tp-button", {
      textContent: "Put into sliders", title: "Add it to the sliders, and set the amount to 0", disabled: !copied.length,
      onclick: () => this.take(copied),
    });
    this.copy.replaceChildren(make("h4", "", { textContent: "From the photo" }), told, amount.element, take);
  }

  take(copied) {
    const amount = this.amount();
    this.inputs.set("copy_amount", 0);
    this.put(Object.fromEntries(copied.map(([name, value]) => [name, round(this.rows.get(name).value + amount * value)])));
    this.showCopied();
  }

  // What the node must have room for: the height of all that is shown, whatever the node's own is.
  leastHeight() {
    this.height = this.inner.offsetHeight || this.height;
    return this.height + 2 * MARGIN;
  }

  close() {
    clearTimeout(this.timer);
    this.timeline.stop();
    this.frames.forget();
    this.presets.forget();
    this.watch.disconnect();
  }
}

function round(value) {
  return Math.round(100 * value) / 100;
}
