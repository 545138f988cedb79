// The face: the newest picture, drag on it to turn the head, and a button that shows the portrait as it was.

import { make } from "./style.js";

const TURN = 40; // degrees from edge to edge
const LOOK = 30; // units of the gaze from edge to edge

export class Stage {
  // turn(degrees to the right, degrees down), look(right, up), compare(on), run()
  constructor({ turn, look, compare, run, reset }) {
    this.canvas = make("canvas", "tp-face", { width: 512, height: 512 });
    this.hint = make("div", "tp-hint");
    this.action = make("button", "tp-run", { textContent: "Run", onclick: run });
    this.note = make("div", "tp-note", {}, this.hint, this.action);
    const before = make("button", "tp-before", { textContent: "Before", title: "Hold to see the portrait as it is" });
    before.onpointerdown = (event) => {
      before.setPointerCapture(event.pointerId);
      compare(true);
    };
    before.onpointerup = before.onpointercancel = () => compare(false);
    const tip = make("div", "tp-tip", { textContent: "Drag the face to turn it · Shift: gaze · double click: straight" });
    this.element = make("div", "tp-stage", {}, this.canvas, tip, before, this.note);
    this.listen(turn, look, reset);
    this.say("Run once to see the face here.", true);
  }

  listen(turn, look, reset) {
    let last = null;
    this.canvas.onpointerdown = (event) => {
      if (event.button !== 0) return;
      this.canvas.setPointerCapture(event.pointerId);
      last = [event.clientX, event.clientY];
    };
    this.canvas.onpointermove = (event) => {
      if (!last) return;
      const { width, height } = this.canvas.getBoundingClientRect();
      const right = (event.clientX - last[0]) / width, down = (event.clientY - last[1]) / height;
      last = [event.clientX, event.clientY];
      if (event.shiftKey) look(LOOK * right, -LOOK * down);
      else turn(TURN * right, TURN * down);
    };
    this.canvas.onpointerup = this.canvas.onpointercancel = () => (last = null);
    this.canvas.ondblclick = reset;
  }

  // A smaller picture of the same shape is drawn as large as the one before.
  draw(picture) {
    const same = Math.abs(picture.width / picture.height - this.canvas.width / this.canvas.height) < 0.02;
    if (!same || picture.width > this.canvas.width) {
      Object.assign(this.canvas, { width: picture.width, height: picture.height });
    }
    this.canvas.getContext("2d").drawImage(picture, 0, 0, this.canvas.width, this.canvas.height);
    this.element.classList.add("tp-seen");
  }

  // A sentence over the face; empty for none. canRun: with a button that runs this node.
  say(words, canRun = false) {
    this.hint.textContent = words;
    this.note.hidden = !words;
    this.action.hidden = !canRun;
  }
}
