"""Make the pack's subgraphs, which stand in the page's node library as single nodes, from the workflow drafts.

    python3 run.py python -m talking_portrait.tools.make_subgraphs

The page itself folds the nodes and writes the files.
"""

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .comfy_server import PACK, ComfyServer
from .graph_page import open_page, without_nulls, write_tall_results
from .make_workflows import empty_models, laid_out
from .workflow_drafts import DRAFTS, Draft

SUBGRAPHS = PACK / "subgraphs"
FOLD = """
async ([graph, name, about, category, outside, widgets]) => {
  await app.loadGraphData(graph);
  const own = app.graph._nodes.filter((n) => !outside.includes(String(n.id)) && n.type !== 'MarkdownNote');
  for (const group of [...app.graph._groups]) app.graph.remove(group);
  const { subgraph, node } = app.graph.convertToSubgraph(new Set(own));
  subgraph.name = node.title = name;
  for (const [id, widget, label] of widgets) {
    const inner = subgraph.getNodeById(Number(id)) ?? subgraph.getNodeById(id);
    const slot = inner.inputs.find((input) => input.widget?.name === widget);
    const input = subgraph.addInput(label, slot.type);
    input.connect(slot, inner);
  }
  for (const input of [...subgraph.inputs]) if (!input.linkIds.length) subgraph.removeInput(input);
  for (const other of app.graph._nodes.filter((n) => n.id !== node.id)) app.graph.remove(other);
  node.pos = [0, 0];
  node.setSize(node.computeSize());
  const made = app.graph.serialize();
  for (const found of made.definitions.subgraphs) Object.assign(found, { description: about, category });
  made.extra = { BlueprintDescription: about };
  return made;
}
"""


@dataclass(frozen=True)
class Subgraph:
    """One subgraph. slug: the draft that it folds. outside: nodes that stay out, to which it offers sockets.
    widgets: (node, widget, name) that it shows. dropped: nodes of the draft that it does without."""

    name: str
    about: str
    slug: str
    outside: tuple[str, ...]
    widgets: tuple[tuple[str, str, str], ...]
    dropped: tuple[str, ...] = ()


RENDERED = (("8", "face_index", "face_index"), ("8", "max_size", "max_size"))
SPOKEN = (("6", "seed", "seed"), ("6", "mouth_amount", "mouth_amount"), ("6", "head_amount", "head_amount"))
ALL = (
    Subgraph(
        "Talking Portrait", "A picture and a voice in, a talking video out. Nothing to download.", "talking_portrait",
        ("1", "4", "10"), (*SPOKEN, *RENDERED),
    ),
    Subgraph(
        "Emotion over Time", "A motion in, the same motion in a mood that comes and goes out, with its curves.",
        "takin_emotion", ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "12"),
        (("11", "emotion", "emotion"), ("11", "intensity", "intensity"), ("11", "intensity_curve", "intensity_curve")),
    ),
    Subgraph(
        "LivePortrait from Video", "A picture and a driving video in, the picture moved as the video out. Needs "
        "LivePortrait's files.", "liveportrait_driven_by_video", ("1", "30", "10"),
        (("11", "region", "region"), ("11", "multiplier", "multiplier"), *RENDERED), ("13", "14"),
    ),
)  # fmt: skip


def folded(page: Any, graph: dict[str, Any], wanted: Subgraph) -> dict[str, Any]:
    """The graph with one node that holds the draft's own, as the page serialises it."""
    widgets = [list(entry) for entry in wanted.widgets]
    arguments = [graph, wanted.name, wanted.about, "talking portrait", list(wanted.outside), widgets]
    return without_nulls(page.evaluate(FOLD, arguments))


def bare(wanted: Subgraph) -> Draft:
    """The draft without notes, form, and what is dropped."""
    draft = DRAFTS[wanted.slug]
    nodes = {key: node for key, node in draft.nodes.items() if key not in wanted.dropped}
    return replace(draft, nodes=nodes, notes=[], app=([], []))


def main() -> None:
    SUBGRAPHS.mkdir(exist_ok=True)
    drafts = {wanted.slug: bare(wanted) for wanted in ALL}
    models = empty_models(drafts)
    with ComfyServer(Path(os.environ["COMFYUI_PATH"]), models=models) as server, open_page(server) as page:
        write_tall_results(server.base / "output")
        for wanted in ALL:
            made = folded(page, laid_out(page, drafts[wanted.slug]), wanted)
            target = SUBGRAPHS / f"{wanted.name}.json"
            target.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(target)
    shutil.rmtree(models, ignore_errors=True)


if __name__ == "__main__":
    main()
