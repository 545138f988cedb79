"""Draw the shipped workflows in ComfyUI's real page and save what it serialises, with a thumbnail each.

    python3 run.py python -m talking_portrait.tools.make_workflows [NAME ...]

The page writes the files, so they are what an artist would have saved. A picture NAME.jpg is made from the first frame
of the workflow's result beside the portrait when `tools/make_thumbnails.py` runs.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from .comfy_server import PACK, ComfyServer
from .workflow_drafts import DRAFTS, Draft

CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]

DRAW = """
async ([api, layout, notes, groups]) => {
  await app.loadApiJson(api, 'draft');
  for (const [id, place] of Object.entries(layout)) {
    const node = app.graph.getNodeById(Number(id)) ?? app.graph.getNodeById(id);
    node.pos = place.pos;
    if (place.title) node.title = place.title;
    const least = node.computeSize();
    node.setSize([Math.max(place.width ?? 300, least[0]), Math.max(place.height ?? 0, least[1])]);
    if (place.models) node.properties.models = place.models;
  }
  for (const note of notes) {
    const node = LiteGraph.createNode('MarkdownNote');
    app.graph.add(node);
    node.title = note.title;
    node.pos = note.pos;
    node.setSize(note.size);
    node.widgets[0].value = note.text;
  }
  for (const box of groups) {
    const group = new LiteGraph.LGraphGroup(box.title);
    group.pos = box.pos;
    group.size = box.size;
    group.color = box.color;
    app.graph.add(group);
  }
  return app.graph.serialize();
}
"""


def draw(page: Any, draft: Draft) -> dict[str, Any]:
    """Serialised graph of one draft, laid out by the real page."""
    layout = {node_id: node.place() for node_id, node in draft.nodes.items()}
    return page.evaluate(DRAW, [draft.prompt(), layout, draft.notes, draft.groups])


def main(names: list[str]) -> None:
    chosen = {name: draft for name, draft in DRAFTS.items() if not names or name in names}
    profile = tempfile.mkdtemp()
    with ComfyServer(Path(os.environ["COMFYUI_PATH"])) as server, sync_playwright() as playwright:
        server.post("/settings", {"Comfy.TutorialCompleted": True})
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS, viewport={"width": 1600, "height": 1000}
        )
        page = browser.pages[0]
        page.set_default_timeout(120_000)
        page.goto(server.url, wait_until="domcontentloaded")
        page.wait_for_function("() => window.app && app.graph && Object.keys(LiteGraph.registered_node_types).length > 100")
        for name, draft in chosen.items():
            graph = draw(page, draft)
            target = PACK / "workflows" / f"{name}.json"
            target.write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(target)
        browser.close()
    shutil.rmtree(profile, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
