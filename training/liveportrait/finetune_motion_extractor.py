"""Fine-tune LivePortrait's motion extractor with Takin-ADA's canonical keypoint loss and landmark-guided loss
(section 3.1).

    python3 run.py python -m talking_portrait.training.liveportrait.finetune_motion_extractor OUT.safetensors \\
        --start START --data PICTURES \\
        [--steps 2000] [--canonical 10] [--landmark 10] [--renderer LIVEPORTRAIT_FOLDER]

START is a published motion_extractor (safetensors or .pth) or a file of this tool; PICTURES is of
training/takin/stage1_pictures.py. With --renderer LivePortrait's own frozen networks, from a folder with its
three other files, turn source pictures into driving ones (gradients were tried through one of their blocks,
not through the whole, which needs a GPU). Without it a bend without weights does, which is for the small
proof (training/liveportrait/stage1_proof.py) and not for the published network. OUT.resume.safetensors holds the
state; the same command goes on from there with the same numbers. OUT loads wherever the published file does.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ...models.liveportrait.checkpoint import FILES
from ...models.liveportrait.motion_extractor import MotionExtractor
from ...models.weights.safe_files import load_tensors
from ..takin.stage1_objective import Pairs, Renderer, Weights, bend, draw_pairs, stage1_terms
from ..takin.stage1_pictures import Pictures, read_pictures

CLIP, SAVE_SECONDS, SHOWN = 1.0, 60, 50


def read_state(path: Path, part: str) -> dict[str, Tensor]:
    """The state dict in one of LivePortrait's files; ValueError if it cannot be read or is another network's."""
    try:
        content = load_file(path) if path.suffix == ".safetensors" else load_tensors(path)
        return FILES[part].convert(content)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ValueError(f"{path} cannot be read ({error}).") from None
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}.") from None


def read_network(path: Path, part: str) -> nn.Module:
    """One of LivePortrait's networks with a file's weights; ValueError as above, or if tensors are missing or
    left over."""
    state = read_state(path, part)
    network = FILES[part].build(state, {})
    try:
        network.load_state_dict({key: value.float() for key, value in state.items()})
    except RuntimeError as error:
        raise ValueError(
            f"{path} does not fit the {FILES[part].name}: {str(error).splitlines()[-1].strip()}"
        ) from None
    return network


def liveportrait_renderer(folder: Path, device: torch.device) -> Renderer:
    """LivePortrait's appearance, warping and drawing, frozen; gradients pass to the keypoints. Source
    pictures at 256 pixels."""
    paths = {part: folder / FILES[part].safetensors for part in ("appearance", "warping", "generator")}
    networks: list[Any] = [read_network(path, part).to(device).eval() for part, path in paths.items()]
    appearance, warping, generator = networks
    for network in networks:
        network.requires_grad_(False)

    def render(pictures: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        volumes = appearance(pictures)
        prepared = [warping.prepare(volumes[k : k + 1], source[k : k + 1]) for k in range(len(pictures))]
        drawn = generator(torch.cat([warping(one, driving[k : k + 1]) for k, one in enumerate(prepared)]))
        return nn.functional.interpolate(drawn, pictures.shape[-2:], mode="area")

    return render


class FineTuning:
    """All that a run is: network, optimiser, random numbers, curve."""

    def __init__(self, network: MotionExtractor, weights: Weights, seed: int, steps: int, batch: int,
        rate: float,
                 renderer: Renderer = bend):  # fmt: skip
        self.network, self.weights, self.renderer = network, weights, renderer
        self.steps, self.batch, self.rate = steps, batch, rate
        self.network.train().requires_grad_(True)
        self.random = torch.Generator().manual_seed(seed)
        self.optimiser = torch.optim.AdamW(network.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.step, self.curve = 0, []

    def advance(self, data: Pictures) -> dict[str, float]:
        """One step; its terms."""
        rise, fall = min(1.0, (self.step + 1) / 50), max(0.05, 1 - self.step / self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * min(rise, fall)
        device = next(self.network.parameters()).device
        pairs = draw_pairs(data, self.batch, self.random)
        pairs = Pairs(**{name: value.to(device) for name, value in vars(pairs).items()})
        terms = stage1_terms(self.network, pairs, self.renderer, self.random)
        total = self.weights.total(terms)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self.step += 1
        return {name: value.item() for name, value in terms.items()} | {"total": total.item()}

    def settings(self) -> dict:
        """What must be the same when a run goes on."""
        return {"steps": self.steps, "batch": self.batch, "rate": self.rate, "weights": asdict(self.weights)}

    def save(self, path: Path) -> None:
        """Everything, so that a killed run goes on as if nothing had happened; replaces the file in one move."""
        tensors = {f"network.{key}": value for key, value in self.network.state_dict().items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{key}": torch.as_tensor(value) for key, value in state.items()}
        tensors["random"] = self.random.get_state()
        written = {**self.settings(), "step": self.step, "curve": self.curve}
        replace_file(path, lambda part: save_file(tensors, part, {"fine_tuning": json.dumps(written)}))

    def resume(self, path: Path) -> None:
        """Go on from a file of `save`; ValueError if it is damaged or of another run."""
        try:
            with safe_open(str(path), "pt") as file:
                written = json.loads((file.metadata() or {})["fine_tuning"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise ValueError(
                f"{path} cannot be read ({error}): delete it to start anew, or put back a copy of it."
            ) from None
        other = [name for name, value in self.settings().items() if written.get(name) != value]
        if other:
            raise ValueError(
                f"{path} is of a run with other {', '.join(other)}: use the same options, or delete the file."
            )
        state = self.optimiser.state_dict()
        state["state"] = {}
        for key, value in tensors.items():
            if key.startswith("optimiser."):
                _, number, name = key.split(".", 2)
                state["state"].setdefault(int(number), {})[name] = value
        try:
            self.network.load_state_dict(
                {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
            )
        except RuntimeError:
            raise ValueError(
                f"{path} is of a network of other sizes: give the same --start, or delete the file."
            ) from None
        self.optimiser.load_state_dict(state)
        self.random.set_state(tensors["random"])
        self.step, self.curve = written["step"], written["curve"]


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside `path`, then move over it, so that a kill leaves the old one or the new one."""
    part = path.with_name(path.name + ".part")
    write(part)
    os.replace(part, path)


def train(run: FineTuning, data: Pictures, resume: Path | None, name: str = "fine-tuning") -> None:
    """All steps that are left; the state is kept every minute and at the end."""
    saved, recent = time.monotonic(), []
    while run.step < run.steps:
        recent.append(run.advance(data))
        if run.step % SHOWN == 0:
            means = {key: round(sum(terms[key] for terms in recent) / len(recent), 5) for key in recent[0]}
            run.curve.append({"step": run.step, **means})
            recent = []
            print(f"{name} {run.step}/{run.steps} {means}", flush=True)
        if resume is not None and time.monotonic() - saved > SAVE_SECONDS:
            run.save(resume)
            saved = time.monotonic()
    if resume is not None:
        run.save(resume)


def write_result(run: FineTuning, out: Path, facts: dict[str, str]) -> None:
    """The network as the published file is, with a header that says how it was made."""
    header = {
        "made_by": "training/liveportrait/finetune_motion_extractor.py",
        "settings": json.dumps(run.settings()),
        **facts,
    }
    state = {key: value.cpu().contiguous() for key, value in run.network.state_dict().items()}
    replace_file(out, lambda part: save_file(state, part, header))
    text = json.dumps({**header, "curve": run.curve}, indent=1) + "\n"
    replace_file(out.with_suffix(".json"), lambda part: part.write_text(text))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=16, help="pairs of pictures in a step")
    parser.add_argument("--rate", type=float, default=1e-5)
    parser.add_argument(
        "--canonical", type=float, default=Weights.canonical, help="weight of the canonical keypoint loss"
    )
    parser.add_argument(
        "--landmark", type=float, default=Weights.landmark, help="weight of the landmark-guided loss"
    )
    parser.add_argument("--renderer", type=Path, help="folder with LivePortrait's safetensors")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        data = read_pictures(options.data)
        network = cast(MotionExtractor, read_network(options.start, "motion").to(device))
        renderer = liveportrait_renderer(options.renderer, device) if options.renderer else bend
        weights = replace(Weights(), canonical=options.canonical, landmark=options.landmark)
        run = FineTuning(network, weights, options.seed, options.steps, options.batch, options.rate, renderer)
        resume = options.out.with_suffix(".resume.safetensors")
        if resume.is_file():
            run.resume(resume)
            print(f"goes on from step {run.step}", flush=True)
    except ValueError as error:
        parser.error(str(error))
    train(run, data, resume)
    write_result(run, options.out, {"seed": str(options.seed), "licence": "as the file it started from",
                                    "command": " ".join(sys.argv[1:])})  # fmt: skip


if __name__ == "__main__":
    main()
