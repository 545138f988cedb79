// The expression editor on the node TalkingPortraitExpressionEditor, in both of the page's node styles.
//
// The node's own inputs stay the truth: this only reads and sets their values, and puts the number boxes away.

import { app } from "../../scripts/app.js";
import { MARGIN, Panel } from "./expression_editor/panel.js";
import { loadStyle } from "./expression_editor/style.js";

const NODE = "TalkingPortraitExpressionEditor";
const WIDTH = 700; // of a new node, in the graph's pixels

app.registerExtension({
  name: "TalkingPortrait.ExpressionEditor",
  init: loadStyle,
  nodeCreated(node) {
    if (node.comfyClass === NODE) addEditor(node);
  },
});

function addEditor(node) {
  const fit = fitting(node);
  const boxes = new Map(node.widgets.map((widget) => [widget.name, widget]));
  const panel = new Panel(inputsOf(node, boxes), {
    run: () => app.queuePrompt(0, 1, [String(node.id)]),
    toggleNumbers() {
      node.showAdvanced = !node.showAdvanced;
      fit();
    },
    resized: () => fit(),
    wheel: (event) => app.canvas.processMouseWheel?.(event),
  });
  for (const widget of boxes.values()) putAway(node, widget, panel);
  const widget = node.addDOMWidget("expression_editor", "talking_portrait_expression", panel.element, {
    serialize: false,
    hideOnZoom: false,
    margin: MARGIN,
    getMinHeight: () => panel.leastHeight(),
  });
  widget.serialize = false; // last of the widgets, so the values of saved workflows keep their places
  // as wide as the node: the page's panel beside the graph would make it as narrow as itself
  Object.defineProperty(widget, "width", { get: () => undefined, set: () => {}, configurable: true });
  node.hideOutputImages = true; // the face is shown here
  node.onDrawBackground = () => {};
  after(node, "onExecuted", (output) => panel.ran(output?.expression_editor?.[0]));
  after(node, "onConfigure", () => {
    panel.read();
    fit();
  });
  after(node, "onConnectionsChange", () => panel.read());
  after(node, "onRemoved", () => panel.close());
  after(node, "onResize", fit);
  node.setSize([Math.max(node.size[0], WIDTH), node.size[1]]);
}

// The node's inputs as the editor sees them: values by name, and which come through a link.
function inputsOf(node, boxes) {
  return {
    setting: false, // while the editor itself sets a value
    get: (name) => boxes.get(name)?.value,
    set(name, value) {
      const box = boxes.get(name);
      if (!box || box.value === value) return;
      this.setting = true;
      box.value = value;
      box.callback?.(value, app.canvas, node);
      this.setting = false;
      if (!box.hidden) node.graph?.setDirtyCanvas(true, false); // what nobody sees need not be drawn anew
    },
    linked: (name) => isLinked(node, name),
    connected: (name) => node.inputs?.some((input) => input.name === name && input.link != null),
  };
}

function isLinked(node, name) {
  return Boolean(node.inputs?.some((input) => input.widget?.name === name && input.link != null));
}

// A number box is shown where it is linked, and where the artist asks for all of them.
function putAway(node, widget, panel) {
  const hidden = { get: () => !(node.showAdvanced || isLinked(node, widget.name)), set() {}, configurable: true };
  Object.defineProperty(widget, "hidden", hidden);
  Object.defineProperty(widget.options, "hidden", { ...hidden, enumerable: true });
  after(widget, "callback", () => panel.changed(widget.name));
  if (widget.element) widget.element.addEventListener("input", () => panel.changed(widget.name));
}

// The node is as high as its content: a wider one has a larger face, a higher one would have nothing to show.
function fitting(node) {
  return () => {
    const height = node.computeSize()[1];
    if (Math.abs(node.size[1] - height) > 1) node.setSize([node.size[0], height]);
    node.graph?.setDirtyCanvas(true, true);
  };
}

function after(object, name, then) {
  const before = object[name];
  object[name] = function (...given) {
    const result = before?.apply(this, given);
    then(...given);
    return result;
  };
}
