// One request at a time; of what was asked meanwhile, only the newest is drawn.
//
// Where a whole frame takes too long to keep up with a hand, smaller ones are shown while it moves, and the whole one
// when it rests.

import { frame } from "./server.js";

const SLOW = 70; // milliseconds of a whole frame
const REST = 160; // milliseconds without a new value

export class Frames {
  constructor(show, fail) {
    this.show = show;
    this.fail = fail;
    this.viewer = Math.random().toString(36).slice(2);
    this.next = null;
    this.busy = false;
    this.asked = -REST; // when a value came last
    this.took = 0; // milliseconds of the last whole frame
  }

  // since: when the artist asked, by the clock of events.
  ask(key, wanted, since = performance.now()) {
    const quick = this.took > SLOW && since - this.asked < REST;
    this.asked = since;
    clearTimeout(this.rest);
    this.next = { key, wanted, since, quick };
    if (!this.busy) this.work();
  }

  forget() {
    clearTimeout(this.rest);
    this.next = null;
  }

  async work() {
    this.busy = true;
    while (this.next) {
      const { key, wanted, since, quick } = this.next;
      this.next = null;
      const start = performance.now();
      try {
        const picture = await createImageBitmap(await frame(key, { ...wanted, quick, viewer: this.viewer }));
        if (!quick) this.took = performance.now() - start;
        this.show(picture, since);
      } catch (error) {
        this.fail(error.message);
      }
      if (quick && !this.next) this.rest = setTimeout(() => this.ask(key, wanted), REST);
    }
    this.busy = false;
  }
}
