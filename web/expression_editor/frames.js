// One request at a time; of what was asked meanwhile, only the newest is drawn.

import { frame } from "./server.js";

export class Frames {
  constructor(show, fail) {
    this.show = show;
    this.fail = fail;
    this.viewer = Math.random().toString(36).slice(2);
    this.next = null;
    this.busy = false;
  }

  // since: when the artist asked, by the clock of events.
  ask(key, wanted, since = performance.now()) {
    this.next = { key, wanted, since };
    if (!this.busy) this.work();
  }

  forget() {
    this.next = null;
  }

  async work() {
    this.busy = true;
    while (this.next) {
      const { key, wanted, since } = this.next;
      this.next = null;
      try {
        const picture = await createImageBitmap(await frame(key, { ...wanted, viewer: this.viewer }));
        this.show(picture, since);
      } catch (error) {
        this.fail(error.message);
      }
    }
    this.busy = false;
  }
}
