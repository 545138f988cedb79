// Nodes of this pack open as wide as their title needs.

import { app } from "../../scripts/app.js";

const PACK = "TalkingPortrait";
const BESIDE = 64; // pixels left and right of a title in which the page draws none of it

app.registerExtension({
  name: "TalkingPortrait.TitleWidth",

  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith(PACK)) return;
    const computeSize = nodeType.prototype.computeSize;
    nodeType.prototype.computeSize = function (out) {
      const size = computeSize.call(this, out);
      size[0] = Math.max(size[0], titleWidth(this) + BESIDE);
      return size;
    };
  },
});

const pen = document.createElement("canvas").getContext("2d");

function titleWidth(node) {
  pen.font = node.titleFontStyle;
  return pen.measureText(node.title ?? "").width;
}
