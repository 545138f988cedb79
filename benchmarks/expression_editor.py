"""From a slider's input event to the new picture in the expression editor, in ComfyUI's real page.

    python3 run.py python benchmarks/expression_editor.py

A portrait of 1536x1536 pixels, its face shown in frames of 512x512: single changes, each after a rest; and a slider
dragged without waiting, where smaller frames may be shown meanwhile. Writes benchmarks/results/expression_editor.json.
"""

import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import comfy.cli_args
from PIL import Image

comfy.cli_args.args.cpu = True
from talking_portrait.models.liveportrait.expression_sliders import SLIDERS, TURNS
from talking_portrait.tools.comfy_server import ComfyServer
from talking_portrait.tools.graph_page import STYLES, choose_style, open_page

ROOT = Path(__file__).resolve().parent.parent
SIDE, CHANGES = 1536, 60
SHOW = """async (prompt) => {
  await app.loadApiJson(prompt, 'editor');
  const node = app.graph._nodes.find((one) => one.comfyClass === 'TalkingPortraitExpressionEditor');
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [120 - node.pos[0], 120 - node.pos[1]];
  app.canvas.setDirty(true, true);
  await app.queuePrompt(0, 1);
}"""
# one change at a time: from the event until the picture is drawn and the next frame of the screen begins
STEPS = """async (changes) => {
  const names = ['Smile', 'Open', 'Left lid', 'Turn left'], found = [];
  for (let index = 0; index < changes; index++) {
    const slider = document.querySelector(`.tp-range[aria-label='${names[index % names.length]}']`);
    const part = 0.3 + 0.5 * Math.abs(Math.sin(index));
    const shown = new Promise((done) => {
      document.addEventListener('expression-frame', () => requestAnimationFrame(done), { once: true });
    });
    slider.value = Number(slider.min) + part * (slider.max - slider.min);
    const start = performance.now();
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    await shown;
    found.push(performance.now() - start);
    await new Promise((done) => setTimeout(done, 200)); // a whole frame, not one of a drag
  }
  return found;
}"""
DRAG = """async (milliseconds) => {
  const slider = document.querySelector(".tp-range[aria-label='Open']");
  const found = [], note = (event) => found.push(event.detail.milliseconds);
  document.addEventListener('expression-frame', note);
  const start = performance.now();
  while (performance.now() - start < milliseconds) {
    const part = 0.5 - 0.4 * Math.cos((performance.now() - start) / 300);
    slider.value = Number(slider.min) + part * (slider.max - slider.min);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise(requestAnimationFrame);
  }
  document.removeEventListener('expression-frame', note);
  return found;
}"""


def prompt(picture: str) -> dict[str, Any]:
    """A picture, its face, and the editor."""
    found = {
        "face_detection_model": ["2", 0], "image": ["1", 0], "detector_variant": "both", "num_faces": 1,
        "min_confidence": 0.5, "missing_frame_fallback": "empty",
    }  # fmt: skip
    prepared = {
        "renderer": ["4", 0],
        "image": ["1", 0],
        "face_landmarks": ["3", 0],
        "face_index": 0,
        "max_size": 0,
    }
    inputs = {
        "LoadImage": {"image": picture},
        "TalkingPortraitLoadFaceDetector": {},
        "MediaPipeFaceLandmarker": found,
        "TalkingPortraitLoadRenderer": {"renderer": "built-in warp"},
        "TalkingPortraitPrepare": prepared,
        "TalkingPortraitExpressionEditor": {"portrait": ["5", 0], **dict.fromkeys((*SLIDERS, *TURNS), 0.0)},
    }
    return {
        str(number): {"class_type": name, "inputs": given}
        for number, (name, given) in enumerate(inputs.items(), 1)
    }


def measured(page: Any, picture: str, style: str) -> dict[str, Any]:
    """Milliseconds in one style of nodes."""
    choose_style(page, style)
    page.wait_for_timeout(3000)  # what the page fetches for itself when it starts
    page.evaluate(SHOW, prompt(picture))
    page.wait_for_function("() => document.querySelectorAll('.tp-drawn').length === 10", timeout=120_000)
    page.evaluate(STEPS, 8)
    single, seconds = sorted(page.evaluate(STEPS, CHANGES)), 5
    dragged = page.evaluate(DRAG, 1000 * seconds)
    size = page.evaluate(
        "() => { const { width, height } = document.querySelector('.tp-face'); return [width, height] }"
    )
    return {
        "frame": "x".join(map(str, size)),
        "one change, median ms": statistics.median(single),
        "one change, nine of ten within ms": single[int(0.9 * len(single))],
        "one change, fastest ms": single[0],
        "dragging, pictures a second": len(dragged) / seconds,
        "dragging, median ms behind the hand": statistics.median(dragged),
    }


def main() -> None:
    rows: dict[str, Any] = {"portrait": f"{SIDE}x{SIDE}", "changes": CHANGES}
    with tempfile.TemporaryDirectory() as scratch, ComfyServer(Path(os.environ["COMFYUI_PATH"])) as server:
        picture = Path(scratch) / "large_portrait.png"
        sample = Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB")
        sample.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(picture)
        name = server.add_input(picture)
        for style in STYLES:
            with open_page(server) as page:
                rows[style] = measured(page, name, style)
    rows["processes that waited for the two cores, on average"] = os.getloadavg()[0]
    print(json.dumps(rows, indent=1))
    target = ROOT / "benchmarks" / "results" / "expression_editor.json"
    target.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
