"""Draw the shipped workflows in ComfyUI's real page and save what it serialises, with a picture each.

    python3 run.py python -m talking_portrait.tools.make_workflows [--keep-pictures] [SLUG ...]

The page writes the files, so they are what an artist would have saved. Every draft is drawn twice in both styles of
nodes with tall results on it, to learn how much room its nodes need; layout.py then places them. What needs no
download is run, and frames of it are its picture; the others' pictures show the portrait that they start from.
"""

import json
import os
import shutil
import sys
import tempfile
from math import ceil
from pathlib import Path
from typing import Any

from ..models.weights.published import WEIGHTS, page_models
from .comfy_server import PACK, ComfyServer
from .graph_page import (
    STYLES,
    TALL,
    choose_style,
    open_page,
    settled,
    show_results,
    without_nulls,
    write_tall_results,
)
from .layout import Rect, arranged
from .template_pictures import cover, pictures
from .workflow_drafts import DRAFTS, Draft
from .workflow_drafts.core_models import CORE_MODELS

WORKFLOWS = PACK / "workflows"
FILMS, FILM_WIDGETS = ("LoadVideo", "SaveVideo"), 110  # pixels of such a node beside its film
KEEP = "--keep-pictures"
WIDEST = 520  # pixels that a node takes for a long title or file name

DRAW = """
async ([api, layout, notes, groups, models, pack, app_form]) => {
  await app.loadApiJson(api, 'draft');
  app.nodeOutputs = {};
  for (const [id, place] of Object.entries(layout)) {
    const node = app.graph.getNodeById(Number(id)) ?? app.graph.getNodeById(id);
    node.pos = place.pos;
    if (place.title) node.title = place.title;
    const least = node.computeSize();
    node.setSize([Math.max(place.width ?? 300, least[0]), Math.max(place.height ?? 0, least[1])]);
    if (place.muted) node.mode = LiteGraph.NEVER;
    if (place.bypassed) node.mode = 4;
    const named = new Map();
    for (const widget of node.widgets ?? []) {
      if (widget.name === 'control_after_generate') widget.value = 'fixed';
      const file = typeof widget.value === 'string' ? widget.value.split('/').pop() : '';
      if (models[file]) named.set(widget.value, { ...models[file], name: widget.value });
    }
    if (named.size) node.properties.models = [...named.values()];
    if (node.type.startsWith('TalkingPortrait')) Object.assign(node.properties, pack);
  }
  for (const note of notes) {
    const node = LiteGraph.createNode('MarkdownNote');
    app.graph.add(node);
    node.title = note.title;
    node.pos = note.pos;
    node.setSize(note.size);
    node.widgets[0].value = note.text;
    note.id = String(node.id);
  }
  for (const box of groups) {
    const group = new LiteGraph.LGraphGroup(box.title);
    group.pos = box.pos;
    group.size = box.size;
    group.color = box.color;
    app.graph.add(group);
  }
  const graph = app.graph.serialize();
  if (app_form) graph.extra = { ...graph.extra, linearData: app_form, linearMode: false };
  return [graph, notes.map((note) => note.id)];
}
"""


def known_models() -> dict[str, dict[str, str]]:
    """What the page may be told of a file that a widget names."""
    own = {weight.file: page_models(weight) for weight in WEIGHTS.values() if not weight.in_pack}
    core = {
        model.file: {"name": model.file, "url": model.url, "directory": model.folder}
        for model in CORE_MODELS.values()
    }
    return own | core


def pack_properties() -> dict[str, str]:
    """By which a page without this pack knows what to install: its name in the Registry, and its version."""
    text = (PACK / "pyproject.toml").read_text(encoding="utf-8")
    name, version = (text.partition(f"\n{key} = ")[2].split('"')[1] for key in ("name", "version"))
    return {"cnr_id": name, "ver": version}


def app_form(draft: Draft) -> dict[str, Any] | None:
    """The draft's form in app mode, as a workflow's extra.linearData."""
    inputs, outputs = draft.app
    return {"inputs": [list(entry) for entry in inputs], "outputs": list(outputs)} if outputs else None


def draw(
    page: Any,
    draft: Draft,
    places: dict[str, dict[str, Any]],
    notes: list[dict[str, Any]],
    groups: list[dict[str, Any]],
) -> tuple[dict[str, Any], list[str]]:
    """The graph as the page serialises it, and the numbers of its notes."""
    graph, ids = page.evaluate(
        DRAW, [draft.prompt(), places, notes, groups, known_models(), pack_properties(), app_form(draft)]
    )
    return graph, ids


def room_needed(page: Any, draft: Draft) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """Width and height of every node and note in the style that takes more, with tall results; the notes' ids."""
    hints = {key: node.place() for key, node in draft.nodes.items()}
    needed: dict[str, tuple[float, float]] = {}
    ids: list[str] = []
    for style in STYLES:
        choose_style(page, style)
        _, ids = draw(page, draft, hints, draft.notes, [])
        started = settled(page, style)
        widths = {
            key: max(ceil(node["width"]), min(ceil(node["title"]), WIDEST)) for key, node in started.items()
        }
        page.evaluate(
            "(widths) => app.graph._nodes.forEach((n) => n.setSize([widths[n.id], n.size[1]]))", widths
        )
        show_results(page)
        for key, node in settled(page, style).items():
            width, height = needed.get(key, (0.0, 0.0))
            needed[key] = (max(width, ceil(node["width"]), widths[key]), max(height, ceil(node["height"])))
    choose_style(page, "classic")
    for key, node in draft.nodes.items():
        if node.class_type in FILMS:  # a film may come into view after all was measured
            width, height = needed[key]
            needed[key] = (width, max(height, ceil(width * TALL[1] / TALL[0]) + FILM_WIDGETS))
    return needed, ids


def laid_out(page: Any, draft: Draft) -> dict[str, Any]:
    """The finished graph."""
    needed, ids = room_needed(page, draft)
    hints = {key: Rect(*node.pos, *node.size) for key, node in draft.nodes.items()}
    for number, (key, note) in enumerate(zip(ids, draft.notes, strict=True)):
        hints[key] = Rect(note["pos"][0], 100.0 * number, *note["size"])
    frames = [Rect(*group["pos"], *group["size"]) for group in draft.groups]
    placed, drawn = arranged(hints, needed, frames)
    places = {
        key: node.place() | {"pos": [placed[key].x, placed[key].y], "width": placed[key].width}
        for key, node in draft.nodes.items()
    }
    notes = [
        note | {"pos": [placed[key].x, placed[key].y], "size": [placed[key].width, placed[key].height]}
        for key, note in zip(ids, draft.notes, strict=True)
    ]
    groups = [
        group | {"pos": [frame.x, frame.y], "size": [frame.width, frame.height]}
        for group, frame in zip(draft.groups, drawn, strict=True)
    ]
    return draw(page, draft, places, notes, groups)[0]


MENUS = {  # loader input -> folder of the models it lists
    "unet_name": "diffusion_models", "vae_name": "vae", "file": "model_patches", "clip_name": "text_encoders",
    "speech_encoder.file": "audio_encoders", "ckpt_name": "checkpoints", "lora_name": "loras",
    "model_name": "frame_interpolation",
}  # fmt: skip
OTHER_FOLDERS = {
    "CLIPVisionLoader": "clip_vision", "TalkingPortraitSpeechEncoder": "audio_encoders",
    "TalkingPortraitLoadACTalker": "diffusion_models",
}  # fmt: skip
OWN_INPUTS = ("LoadVideo", "TalkingPortraitLoadFaceMotion")


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
                if isinstance(value, str) and node.class_type not in OWN_INPUTS:
                    path = folder / OTHER_FOLDERS.get(node.class_type, kind) / value
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()
    return folder


def main(arguments: list[str]) -> None:
    names = [argument for argument in arguments if argument != KEEP]
    chosen = {slug: draft for slug, draft in DRAFTS.items() if not names or slug in names}
    models = empty_models(chosen)
    with ComfyServer(Path(os.environ["COMFYUI_PATH"]), models=models) as server, open_page(server) as page:
        write_tall_results(server.base / "output")
        for draft in chosen.values():
            graph = without_nulls(laid_out(page, draft))
            target = WORKFLOWS / f"{draft.name}.json"
            target.write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            if KEEP not in arguments:
                made = [] if draft.needs else results(server, graph)
                cover(pictures(made), draft.cover).save(target.with_suffix(".jpg"), quality=85)
            print(target, flush=True)
    shutil.rmtree(models, ignore_errors=True)
    if not names:
        remove_others({draft.name for draft in DRAFTS.values()})


def results(server: ComfyServer, graph: dict[str, Any]) -> list[Path]:
    """What a workflow saves, or shows."""
    outputs = server.run(server.to_prompt(graph))
    return server.output_files(outputs) or server.output_files(outputs, "temp")


def remove_others(names: set[str]) -> None:
    """Remove workflows and pictures that no draft makes any more."""
    for path in WORKFLOWS.iterdir():
        if path.stem not in names:
            path.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
