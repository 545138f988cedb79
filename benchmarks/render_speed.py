"""Time of the built-in renderer per frame on one thread, and where it goes.

    python3 run.py python benchmarks/render_speed.py

Prints milliseconds of CPU time per 512x512 frame, whole and by stage, and writes benchmarks/results/render_speed.json.
"""

import json
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import comfy.cli_args
import numpy as np
import torch
from PIL import Image

comfy.cli_args.args.cpu = True
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.builtin.warp.head import head_displacement
from talking_portrait.models.builtin.warp.renderer import base_grid, sample
from talking_portrait.models.face.landmarks import landmarks_in_pixels
from talking_portrait.models.face.weights import load_face_detector, load_person_segmenter
from talking_portrait.models.face_motion import CONTROLS, FaceMotion, resolve
from talking_portrait.models.portrait import FaceLandmarks478

ROOT = Path(__file__).resolve().parent.parent
FRAMES, BATCH = 60, 2
CPU = torch.device("cpu")


def cpu_ms(work: Callable[[int], object]) -> float:
    """CPU milliseconds per frame of `work(start)`, which does BATCH frames."""
    work(0)
    started = time.process_time()
    for start in range(0, FRAMES, BATCH):
        work(start)
    return 1000 * (time.process_time() - started) / FRAMES


def main() -> None:
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    photo = np.array(Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB"))
    image = torch.from_numpy(photo).float() / 255
    face = load_face_detector().detect_batch([photo], 1, 0.5, "short")[0][0]
    points = FaceLandmarks478(landmarks_in_pixels(face))
    renderer = WarpRenderer()
    started = time.process_time()
    portrait = renderer.prepare(image, points, load_person_segmenter().mask(image))
    prepare = 1000 * (time.process_time() - started)
    generator = torch.Generator().manual_seed(0)
    motion = FaceMotion.from_controls(
        0.5 * torch.rand(FRAMES, len(CONTROLS), generator=generator),
        3 * torch.randn(FRAMES, 3, generator=generator),
        torch.zeros(FRAMES, 3), torch.ones(FRAMES), Fraction(25), source={},
    )  # fmt: skip
    resolved = resolve(motion, portrait.motion)
    features, box = portrait.features, portrait.features.head.box
    grid, crop = (
        base_grid(box, CPU),
        image[box[1] : box[3], box[0] : box[2]].permute(2, 0, 1)[None].contiguous(),
    )

    def part(start: int):
        return resolved.slice(start, start + BATCH)

    head = cpu_ms(lambda start: head_displacement(features.head, part(start), CPU))
    sampling = cpu_ms(lambda start: sample(crop, grid.expand(BATCH, -1, -1, -1), box[:2]))
    source = [grid.expand(BATCH, -1, -1, -1).clone() for _ in range(FRAMES)]
    mouth = cpu_ms(lambda start: renderer._move_mouth(features, box, source[start], part(start).controls))
    eyes = cpu_ms(
        lambda start: [
            renderer._move_eye(eye, box, source[start], part(start).controls) for eye in features.eyes
        ]
    )
    whole = cpu_ms(lambda start: renderer.render(portrait, part(start), CPU))
    rows = {
        "frame": whole, "head": head, "mouth map": mouth, "eyes": eyes, "sampling": sampling,
        "mouth interior and composition": whole - head - mouth - eyes - sampling, "prepare (once)": prepare,
        "CPU seconds per second of 25 fps film": whole * 25 / 1000,
    }  # fmt: skip
    for name, value in rows.items():
        print(f"{name:40s} {value:8.2f}")
    target = ROOT / "benchmarks" / "results" / "render_speed.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
