"""Draw the shipped workflows in ComfyUI's real page and save what it serialises, with a thumbnail each.

    python3 run.py python -m talking_portrait.tools.make_workflows [NAME ...]

The page writes the files, so they are what an artist would have saved. Each workflow is then run, and its picture
NAME.jpg, which the Templates browser shows, is made of what came out; of workflows whose weights do not ship
it shows the graph.
"""

import io
import json
import math
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import av
from PIL import Image
from playwright.sync_api import sync_playwright

from ..models.weights.published import WEIGHTS
from .comfy_server import PACK, ComfyServer
from .workflow_drafts import DRAFTS, Draft

THUMBNAIL = 480
SETTINGS = {  # no tutorial, no map over the graph, and words on the nodes however small the graph is drawn
    "Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False, "LiteGraph.Canvas.MinFontSizeForLOD": 0,
}  # fmt: skip
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
]

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
    if (place.muted) node.mode = LiteGraph.NEVER;
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


def pictures(files: list[Path]) -> list[Image.Image]:
    """Up to four pictures of a workflow's results: frames spread over its video, or its images."""
    for file in files:
        if file.suffix == ".mp4":
            with av.open(str(file)) as container:
                frames = [frame.to_image() for frame in container.decode(video=0)]
            return [frames[round(part * (len(frames) - 1))] for part in (0.12, 0.38, 0.62, 0.88)]
    return [Image.open(file).convert("RGB") for file in files[:4]]


def thumbnail(tiles: list[Image.Image]) -> Image.Image:
    """The pictures in a square grid."""
    columns = math.ceil(math.sqrt(len(tiles)))
    side = THUMBNAIL // columns
    sheet = Image.new("RGB", (side * columns, side * math.ceil(len(tiles) / columns)))
    for index, tile in enumerate(tiles):
        sheet.paste(
            tile.resize((side, side), Image.Resampling.LANCZOS),
            (index % columns * side, index // columns * side),
        )
    return sheet


SHOW = """
() => {
  const nodes = app.graph._nodes, left = Math.min(...nodes.map((n) => n.pos[0]));
  const top = Math.min(...nodes.map((n) => n.pos[1]));
  const right = Math.max(...nodes.map((n) => n.pos[0] + n.size[0]));
  const low = Math.max(...nodes.map((n) => n.pos[1] + n.size[1]));
  const scale = Math.min(1420 / (right - left), 760 / (low - top));
  app.canvas.ds.scale = scale;
  app.canvas.ds.offset = [110 / scale - left, 150 / scale - top];
  app.canvas.setDirty(true, true);
}
"""


def graph_picture(page: Any, graph: dict[str, Any]) -> Image.Image:
    """The graph itself, as the page shows it."""
    page.evaluate("async (g) => { await app.loadGraphData(g) }", graph)
    page.evaluate(SHOW)
    page.wait_for_timeout(2000)
    page.keyboard.press("Escape")
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB").crop((60, 90, 1580, 960))
    return shot.resize(
        (2 * THUMBNAIL, round(2 * THUMBNAIL * shot.height / shot.width)), Image.Resampling.LANCZOS
    )


MENUS = {  # loader input -> folder of the models it lists
    "unet_name": "diffusion_models", "vae_name": "vae", "file": "model_patches", "clip_name": "text_encoders",
    "speech_encoder.file": "audio_encoders", "ckpt_name": "checkpoints", "lora_name": "loras",
    "model_name": "frame_interpolation",
}  # fmt: skip
OTHER_FOLDERS = {
    "CLIPVisionLoader": "clip_vision", "TalkingPortraitSpeechEncoder": "audio_encoders",
    "TalkingPortraitLoadACTalker": "diffusion_models",
}  # fmt: skip


def empty_models(drafts: dict[str, Draft]) -> Path:
    """A models folder with an empty file for every one that a draft names, so that the page draws no loader
    as broken."""
    folder = Path(tempfile.mkdtemp())
    for weight in (one for one in WEIGHTS.values() if not one.in_pack):  # with which the loaders start
        (folder / weight.folder).mkdir(parents=True, exist_ok=True)
        (folder / weight.folder / weight.file).touch()
    for draft in drafts.values():
        for node in draft.nodes.values():
            for name, kind in MENUS.items():
                value = node.inputs.get(name)
                if isinstance(value, str) and node.class_type != "LoadVideo":
                    path = folder / OTHER_FOLDERS.get(node.class_type, kind) / value
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()
    return folder


def main(names: list[str]) -> None:
    chosen = {name: draft for name, draft in DRAFTS.items() if not names or name in names}
    profile, models = tempfile.mkdtemp(), empty_models(chosen)
    with (
        ComfyServer(Path(os.environ["COMFYUI_PATH"]), models=models) as server,
        sync_playwright() as playwright,
    ):
        server.post("/settings", SETTINGS)
        browser = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=shutil.which("chromium"),
            args=CHROMIUM_FLAGS,
            viewport={"width": 1600, "height": 1000},
        )
        page = browser.pages[0]
        page.set_default_timeout(120_000)
        page.goto(server.url, wait_until="domcontentloaded")
        page.wait_for_function(
            "() => window.app && app.graph && Object.keys(LiteGraph.registered_node_types).length > 100"
        )
        for name, draft in chosen.items():
            graph = draw(page, draft)
            target = PACK / "workflows" / f"{name}.json"
            target.write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            if draft.neural:
                picture = graph_picture(page, graph)
            else:
                outputs = server.run(server.to_prompt(graph))
                picture = thumbnail(
                    pictures(server.output_files(outputs) or server.output_files(outputs, "temp"))
                )
            picture.save(target.with_suffix(".jpg"), quality=85)
            print(target)
        browser.close()
    for folder in (profile, models):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
