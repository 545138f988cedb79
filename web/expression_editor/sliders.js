// Rows of sliders, in groups; every row shows how far its value lies from 0, where the picture is as it was.

import { make } from "./style.js";

export const GROUPS = {
  Mouth: { smile: "Smile", aaa: "Open", eee: "Wide", woo: "Round" },
  Eyes: { wink_left: "Left lid", wink_right: "Right lid", eyebrow: "Brows", pupil_x: "Look right", pupil_y: "Look up" },
  Head: { pitch: "Nod down", yaw: "Turn left", roll: "Tilt" },
};

const LABELS = Object.assign({}, ...Object.values(GROUPS));

// Values by name, such as { aaa: 12, smile: 0.5 }, in the sliders' own words.
export function inWords(values) {
  return Object.entries(values).map(([name, value]) => `${LABELS[name] ?? name} ${value}`).join(" · ");
}

export class Slider {
  // moved(value, event): while the artist drags; `input` tells where it lies
  constructor(label, { low, high, step, meaning }, moved) {
    this.low = low;
    this.high = high;
    this.range = make("input", "tp-range", { type: "range", min: low, max: high, step, title: meaning });
    this.range.setAttribute("aria-label", label);
    this.number = make("input", "tp-number", { type: "number", min: low, max: high, step, title: meaning });
    this.name = make("span", "tp-name", { textContent: label, title: `${meaning}\nDouble click: back to 0` });
    this.element = make("label", "tp-row", {}, this.name, this.range, this.number);
    this.range.oninput = (event) => this.move(Number(this.range.value), event, moved);
    this.number.oninput = (event) => {
      const value = Number(this.number.value);
      if (this.number.value !== "" && Number.isFinite(value)) this.move(this.within(value), event, moved, true);
    };
    this.number.onblur = () => this.show(this.value);
    this.element.ondblclick = (event) => {
      if (event.target === this.number) return;
      event.preventDefault();
      this.move(this.within(0), event, moved);
    };
    this.show(0);
  }

  within(value) {
    return Math.min(Math.max(value, this.low), this.high);
  }

  move(value, event, moved, typing = false) {
    this.show(value, typing);
    moved(value, event);
  }

  show(value, typing = false) {
    this.value = value;
    const part = (at) => (100 * (at - this.low)) / (this.high - this.low);
    const [from, to] = [part(this.within(0)), part(this.within(value))].sort((a, b) => a - b);
    this.range.value = value;
    this.range.style.setProperty("--from", `${from}%`);
    this.range.style.setProperty("--to", `${to}%`);
    if (!typing) this.number.value = Math.round(value * 100) / 100;
    this.element.classList.toggle("tp-set", Boolean(value));
  }

  lock(linked) {
    this.range.disabled = this.number.disabled = linked;
    this.element.classList.toggle("tp-linked", linked);
  }
}
