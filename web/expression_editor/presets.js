// Ready expressions, each as a small picture of this very portrait.

import { frame } from "./server.js";
import { inWords } from "./sliders.js";
import { make } from "./style.js";

const SIDE = 112; // pixels of a picture: twice what is shown
const NEAR = 0.64; // of the face's square: expressions must be seen in small
const MARGIN = (1 - NEAR) / 2;
const PAUSE = 60; // milliseconds between two, and while the artist waits for the large one

export class Presets {
  // choose(values): put them into the sliders, all others to 0
  constructor(choose) {
    this.choose = choose;
    this.tiles = [];
    this.round = 0;
    this.element = make("div", "tp-presets");
  }

  build(presets) {
    for (const [name, values] of Object.entries({ "as it is": {}, ...presets })) {
      const picture = make("canvas", "", { width: SIDE, height: SIDE });
      const label = make("span", "", { textContent: name });
      const tile = make("button", "tp-preset", { title: inWords(values) || "All sliders to 0", onclick: () => this.choose(values) }, picture, label);
      this.tiles.push({ tile, picture, values });
      this.element.append(tile);
    }
  }

  // One after the other, behind what the artist asks for; busy(): whether that is being drawn.
  async draw(key, busy) {
    if (key === this.key) return;
    this.forget();
    const round = this.round;
    this.key = key;
    for (const { tile, picture, values } of this.tiles) {
      do await new Promise((done) => setTimeout(done, PAUSE));
      while (busy() && round === this.round);
      if (round !== this.round) return;
      try {
        const drawn = await createImageBitmap(await frame(key, { values, copy_amount: 0, viewer: "presets" }));
        const { width, height } = drawn;
        picture.getContext("2d").drawImage(drawn, MARGIN * width, MARGIN * height, NEAR * width, NEAR * height, 0, 0, SIDE, SIDE);
        drawn.close();
        tile.classList.add("tp-drawn");
      } catch {
        return; // the name is enough
      }
    }
  }

  forget() {
    this.round += 1;
    this.key = null;
    for (const { tile } of this.tiles) tile.classList.remove("tp-drawn");
  }
}
