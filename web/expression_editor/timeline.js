// Keyframes: expressions at times. A keyframe that is chosen takes what the sliders do.

import { make } from "./style.js";
import { parse, write } from "./keyframes.js";

const LEAST_SPAN = 3; // seconds that the line shows at least
const LONGEST = 600;
const EMPTY = "For an expression over time: set the sliders, choose a time, press + Keyframe.";
const RATE = 15; // pictures a second while playing

export class Timeline {
  // read(), store(text, soon): the node's text. values(): the sliders'. choose(values): put them there.
  // seek(seconds): show the keyframes at a time. stopped(): back to the sliders.
  constructor(tools) {
    this.tools = tools;
    this.keyframes = [];
    this.chosen = null;
    this.seconds = 0;
    this.playing = 0;
    this.line = make("div", "tp-line", { title: "Click or drag to see the motion at a time" });
    this.time = make("input", "tp-number", { type: "number", min: 0, max: LONGEST, step: 0.1, value: 0, title: "Seconds" });
    this.play = make("button", "tp-button", { textContent: "▶", title: "Play the keyframes", onclick: () => this.toggle() });
    this.add = make("button", "tp-button tp-strong", { onclick: () => this.put() });
    this.remove = make("button", "tp-button", { textContent: "Remove", title: "Remove the chosen keyframe", onclick: () => this.drop() });
    this.list = make("div", "tp-list");
    const bar = make("div", "tp-bar", {}, this.play, this.time, make("span", "tp-unit", { textContent: "s" }), this.add, this.remove);
    this.element = make("section", "tp-time", {}, make("h4", "", { textContent: "Keyframes" }), bar, this.line, this.list);
    this.time.oninput = () => this.go(Number(this.time.value) || 0);
    this.line.onpointerdown = (event) => this.scrub(event);
  }

  read() {
    this.keyframes = parse(this.tools.read());
    if (this.chosen !== null && !this.at(this.chosen)) this.chosen = null;
    this.show();
  }

  at(seconds) {
    return this.keyframes.find((keyframe) => keyframe.seconds === seconds);
  }

  get span() {
    return Math.max(LEAST_SPAN, ...this.keyframes.map(({ seconds }) => seconds * 1.08));
  }

  // soon: while the artist drags.
  store(soon = false) {
    this.keyframes.sort((a, b) => a.seconds - b.seconds);
    this.tools.store(write(this.keyframes), soon);
    this.show();
  }

  put() {
    const seconds = this.seconds, old = this.at(seconds), values = { ...this.tools.values() };
    if (old) old.values = values;
    else this.keyframes.push({ seconds, values });
    this.chosen = seconds;
    this.store();
    this.tools.stopped();
  }

  drop() {
    if (this.chosen === null) return;
    this.keyframes = this.keyframes.filter(({ seconds }) => seconds !== this.chosen);
    this.chosen = null;
    this.store();
  }

  choose(keyframe) {
    this.stop();
    this.chosen = this.seconds = keyframe.seconds;
    this.show();
    this.tools.choose(keyframe.values);
  }

  // The sliders moved: the chosen keyframe goes with them.
  follow() {
    this.stop();
    if (this.chosen === null) return;
    this.at(this.chosen).values = { ...this.tools.values() };
    this.store(true);
  }

  go(seconds) {
    this.seconds = Math.min(Math.max(Math.round(seconds * 100) / 100, 0), LONGEST);
    if (this.chosen !== this.seconds) this.chosen = null;
    this.show();
    if (this.keyframes.length) this.tools.seek(this.seconds);
  }

  scrub(event) {
    this.stop();
    this.line.setPointerCapture(event.pointerId);
    const held = this.keyframes.find(({ seconds }) => Math.abs(this.place(event) - seconds) < 0.025 * this.span);
    const span = this.span;
    if (held) this.choose(held);
    else this.go(this.place(event, span));
    this.line.onpointermove = (move) => {
      if (!held) return this.go(this.place(move, span));
      const seconds = Math.round(this.place(move, span) * 20) / 20;
      if (seconds === held.seconds || this.at(seconds)) return;
      held.seconds = this.chosen = this.seconds = seconds;
      this.store();
    };
    this.line.onpointerup = this.line.onpointercancel = () => (this.line.onpointermove = null);
  }

  place(event, span = this.span) {
    const { left, width } = this.line.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - left) / width, 0), 1) * span;
  }

  toggle() {
    if (this.playing) return this.stop();
    if (this.keyframes.length < 2) return;
    const start = performance.now(), last = this.keyframes.at(-1).seconds;
    this.play.textContent = "■";
    this.playing = setInterval(() => {
      const seconds = (performance.now() - start) / 1000;
      this.go(Math.min(seconds, last));
      if (seconds >= last) this.stop();
    }, 1000 / RATE);
  }

  stop() {
    clearInterval(this.playing);
    this.playing = 0;
    this.play.textContent = "▶";
  }

  show() {
    const place = (seconds) => `${(100 * seconds) / this.span}%`;
    const marks = this.keyframes.map(({ seconds }) => {
      const mark = make("i", seconds === this.chosen ? "tp-key tp-chosen" : "tp-key", { title: `${seconds} s` });
      mark.style.left = place(seconds);
      return mark;
    });
    const head = make("b", "tp-playhead");
    head.style.left = place(this.seconds);
    this.line.replaceChildren(head, ...marks);
    const rows = this.keyframes.map((keyframe) => this.row(keyframe));
    this.list.replaceChildren(...(rows.length ? rows : [make("span", "tp-empty", { textContent: EMPTY })]));
    if (document.activeElement !== this.time) this.time.value = this.seconds;
    const here = this.at(this.seconds);
    this.add.textContent = here ? "Replace" : "+ Keyframe";
    this.add.title = "Keep what the sliders show at this time";
    this.remove.disabled = this.chosen === null;
    this.play.disabled = this.keyframes.length < 2;
  }

  row(keyframe) {
    const words = Object.entries(keyframe.values).map(([name, value]) => `${name} ${value}`);
    const text = make("span", "", { textContent: words.join(" · ") || "as in the picture" });
    const time = make("b", "", { textContent: `${keyframe.seconds} s` });
    const chosen = keyframe.seconds === this.chosen ? " tp-chosen" : "";
    return make("button", `tp-entry${chosen}`, { onclick: () => this.choose(keyframe) }, time, text);
  }
}
