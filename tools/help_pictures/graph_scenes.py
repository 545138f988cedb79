"""Nodes whose files are not there: the real node as the page draws it, among those that it is connected to."""

import base64
import io
import json
from typing import Any

from PIL import Image

from ..workflow_drafts import DRAFTS, shipped
from .drawing import WIDTH

# Leaves one node of a graph with its neighbours, folded above and below it, and draws that.
NEIGHBOURS = """
async ([graph, type, file]) => {
  app.nodeOutputs = {};
  await app.ui.settings.setSettingValueAsync('Comfy.NodeBadge.NodeSourceBadgeMode', 'None');
  if (graph) await app.loadGraphData(graph);
  else {
    app.graph.clear();
    app.graph.add(LiteGraph.createNode(type));
  }
  const node = app.graph._nodes.find((one) => one.type === type);
  if (file) node.widgets.find((widget) => widget.name === 'file').value = file;
  const before = [], after = [];
  for (const input of node.inputs ?? []) {
    const link = input.link == null ? null : app.graph.getLink(input.link);
    const one = link && app.graph.getNodeById(link.origin_id);
    if (one && !before.includes(one)) before.push(one);
  }
  for (const output of node.outputs ?? []) for (const id of output.links ?? []) {
    const one = app.graph.getNodeById(app.graph.getLink(id).target_id);
    if (one && ![...after, ...before].some((known) => known.type === one.type)) after.push(one);
  }
  const kept = [node, ...before, ...after];
  for (const one of [...app.graph._nodes]) if (!kept.includes(one)) app.graph.remove(one);
  for (const box of [...app.graph._groups]) app.graph.remove(box);
  const step = 38, indent = 70, margin = 16, head = LiteGraph.NODE_TITLE_HEIGHT;
  for (const one of kept) {
    one.mode = 0;
    one.flags.collapsed = one !== node;
    if (one !== node) one.size[0] = 400;
  }
  const least = node.computeSize();
  node.setSize([Math.max(least[0], 300), least[1]]);
  before.forEach((one, number) => { one.pos = [0, number * step]; });
  node.pos = [indent, before.length * step + 14];
  const end = node.pos[1] + node.size[1] + head + 16;
  after.forEach((one, number) => { one.pos = [2 * indent, end + number * step]; });
  const bottom = (after.length ? end + (after.length - 1) * step : node.pos[1] + node.size[1]) + margin;
  const top = (before.length ? 0 : node.pos[1] - margin) - head - margin;
  const canvas = app.canvas, own = CanvasRenderingContext2D.prototype.fillText;
  canvas.deselectAll();
  canvas.show_info = false;
  canvas.background_image = null;
  canvas.ds.scale = Math.min(1.5, canvas.canvas.height / (bottom - top));
  canvas.ds.offset = [margin, -top];
  CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {  // a folded node's title is cut
    const cut = kept.find((one) => one !== node && one.getTitle().startsWith(text) && text.length >= 20);
    if (!cut) return own.call(this, text, ...rest);
    return own.call(this, cut.getTitle(), rest[0], rest[1], cut._collapsed_width - 46);
  };
  canvas.draw(true, true);
  canvas.draw(true, true);
  CanvasRenderingContext2D.prototype.fillText = own;
  const ends = kept.map((one) => one.pos[0] + (one.flags.collapsed ? one._collapsed_width : one.size[0]));
  const left = Math.min(...kept.map((one) => one.pos[0])) - margin, right = Math.max(...ends) + 2 * margin;
  const scale = canvas.ds.scale;
  const box = [(left + margin) * scale, 0, (right - left) * scale, (bottom - top) * scale];
  return [canvas.canvas.toDataURL('image/png'), box];
}
"""

OWN_FILES: dict[str, str] = {  # of which none was ever published, so that the menu would show another node's
    "TalkingPortraitFantasyTalkingIdentity": "your_own.safetensors",
    "TalkingPortraitFantasyTalkingIntensity": "your_own.safetensors",
}


def shown_in(kind: str) -> str | None:
    """The first workflow that has a node of this type."""
    holding = (
        slug
        for slug, draft in DRAFTS.items()
        if any(node.class_type == kind for node in draft.nodes.values())
    )
    return next(holding, None)


def drawn(page: Any, kind: str) -> Image.Image:
    """The node of a type in a shipped workflow, or alone where none has it."""
    slug = shown_in(kind)
    graph = json.loads(shipped(slug).read_text(encoding="utf-8")) if slug else None
    address, (left, top, width, height) = page.evaluate(NEIGHBOURS, [graph, kind, OWN_FILES.get(kind)])
    canvas = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB")
    picture = canvas.crop((round(left), round(top), round(left + width), round(top + height)))
    width = WIDTH if picture.height < 2 * picture.width else 3 * WIDTH // 4
    return picture.resize((width, round(width * picture.height / picture.width)), Image.Resampling.LANCZOS)
