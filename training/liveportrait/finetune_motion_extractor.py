"""Fine-tune LivePortrait's motion extractor with Takin-ADA's canonical keypoint loss and landmark-guided loss
(section 3.1).

    python3 run.py python -m talking_portrait.training.liveportrait.finetune_motion_extractor OUT.safetensors \\
        --start START --data PICTURES \\
        [--steps 2000] [--canonical 10] [--landmark 10] [--renderer LIVEPORTRAIT_FOLDER]

START is a published motion_extractor (safetensors or .pth) or a file of this tool; PICTURES is of
training/takin/stage1_pictures.py. With --renderer LivePortrait's own networks, from a folder with its three other
files, turn source pictures into driving ones: frozen, or with --drawing FOLDER trained as well and written there.
--vgg (torchvision's file of VGG-19) and --judge add the perceptual and the adversarial term of face-vid2vid's recipe.
Without a renderer a bend without weights does, which is for the small proof (training/liveportrait/stage1_proof.py)
and not for the published network. OUT.resume.safetensors holds the state; the same command goes on from there with
the same numbers. OUT and the files in FOLDER load wherever the published ones do.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ...models.atomic_file import atomic_file
from ...models.liveportrait.checkpoint import FILES
from ...models.liveportrait.motion_extractor import MotionExtractor
from ...models.weights.safe_files import load_tensors
from ..learning.loop import command, go_on, train, write_json
from ..learning.recipe import Linear, Recipe
from ..learning.training import Training
from ..takin.stage1_losses import PENALTIES
from ..takin.stage1_objective import (
    HUBER,
    Pairs,
    Penalties,
    Renderer,
    Weights,
    bend,
    draw_pairs,
    stage1_terms,
)
from ..takin.stage1_pictures import Pictures, read_pictures
from .picture_losses import PatchJudge, PictureLosses, read_perceptual

DRAWN_BY = ("appearance", "warping", "generator")  # in this order
COLOURS_ALONE = PictureLosses()


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


class Drawing(nn.Module):
    """LivePortrait's appearance, warping and drawing as a renderer; pictures of any side that 128 divides, the
    published ones saw 256. What their batch norms count stays as it was."""

    def __init__(self, networks: dict[str, Any]):
        super().__init__()
        self.networks = nn.ModuleDict(networks)
        self.eval()

    def forward(self, pictures: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        appearance, warping, generator = (cast(Any, self.networks[part]) for part in DRAWN_BY)
        volumes = appearance(pictures)
        prepared = [warping.prepare(volumes[k : k + 1], source[k : k + 1]) for k in range(len(pictures))]
        drawn = generator(torch.cat([warping(one, driving[k : k + 1]) for k, one in enumerate(prepared)]))
        return nn.functional.interpolate(drawn, pictures.shape[-2:], mode="area")

    def write(self, folder: Path, facts: dict[str, str]) -> None:
        """Each network under its published name."""
        folder.mkdir(parents=True, exist_ok=True)
        for part, network in self.networks.items():
            write_network(folder / FILES[part].safetensors, network, facts)


def read_drawing(folder: Path) -> Drawing:
    """LivePortrait's three networks beside the motion extractor, frozen; gradients pass to the keypoints."""
    drawing = Drawing({part: read_network(folder / FILES[part].safetensors, part) for part in DRAWN_BY})
    return drawing.requires_grad_(False)


def write_network(path: Path, network: nn.Module, facts: dict[str, str]) -> None:
    """Whole or not at all, with a header that says how it was made."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    with atomic_file(path) as part:
        save_file(state, part, facts)


class FineTuning:
    """A run: the network, what it is held to, and the pictures that it is shown.

    A renderer whose weights want gradients is trained too, and so is the judge of drawn pictures, if there is one.
    """

    def __init__(
        self, network: MotionExtractor, weights: Weights, seed: int, steps: int, batch: int, rate: float,
        renderer: Renderer = bend, penalties: Penalties = HUBER, pictures: PictureLosses = COLOURS_ALONE,
    ):  # fmt: skip
        self.network, self.weights, self.renderer, self.penalties = network, weights, renderer, penalties
        self.batch, self.pictures = batch, pictures
        self.network.train().requires_grad_(True)
        learners: dict[str, nn.Module] = {"motion": network}
        if isinstance(renderer, Drawing) and any(p.requires_grad for p in renderer.parameters()):
            learners["drawing"] = renderer
        if pictures.judge is not None:
            learners["judge"] = pictures.judge
        torch.manual_seed(seed)
        settings = {
            "batch": batch, "weights": asdict(weights), "penalties": asdict(penalties), "trained": [*learners],
            "perceptual": pictures.perceptual is not None,
        }  # fmt: skip
        rules = Recipe(steps, rate, Linear(50, 0.05))
        self.run = Training(nn.ModuleDict(learners), rules, seed, settings)

    def loss(self, data: Pictures) -> dict[str, Tensor]:
        """Of random pairs: the weighted sum, and each term."""
        chance = torch.default_generator  # its state is in every checkpoint
        device = next(self.network.parameters()).device
        pairs = draw_pairs(data, self.batch, chance)
        pairs = Pairs(**{name: value.to(device) for name, value in vars(pairs).items()})
        terms = stage1_terms(self.network, pairs, self.renderer, chance, self.penalties, self.pictures.terms)
        return {"loss": self.weights.total(terms), **terms}

    def train(self, data: Pictures, resume: Path | None = None, name: str = "fine-tuning") -> bool:
        """All steps that are left; whether all are done."""
        return train(self.run, lambda: self.loss(data), resume, name=name)

    def write(self, out: Path, facts: dict[str, str], folder: Path | None = None) -> None:
        """The network as the published file is, with a header that says how it was made; a trained renderer's
        three into the folder."""
        header = {
            "made_by": "training/liveportrait/finetune_motion_extractor.py",
            "settings": json.dumps(self.run.settings),
            **facts,
        }
        write_network(out, self.network, header)
        if folder is not None and isinstance(self.renderer, Drawing):
            self.renderer.write(folder, header)
        write_json(out.with_suffix(".json"), {**header, "curve": self.run.curve})


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
    for name in ("canonical", "landmark"):
        parser.add_argument(
            f"--{name}-loss", choices=tuple(PENALTIES), default="huber", help="how its errors are counted"
        )
    parser.add_argument("--renderer", type=Path, help="folder with LivePortrait's safetensors")
    parser.add_argument(
        "--drawing", type=Path, help="train the renderer as well, and write it into this folder"
    )
    parser.add_argument("--vgg", type=Path, help="torchvision's file of VGG-19, for the perceptual term")
    parser.add_argument(
        "--judge", action="store_true", help="the adversarial term, by a judge that learns beside"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        data = read_pictures(options.data)
        network = cast(MotionExtractor, read_network(options.start, "motion").to(device))
        if options.renderer is None and (options.drawing or options.vgg or options.judge):
            raise ValueError("--drawing, --vgg and --judge are for pictures that --renderer draws; give it.")
        renderer = read_drawing(options.renderer).to(device) if options.renderer else bend
        if options.drawing:
            cast(Drawing, renderer).requires_grad_(True)
        torch.manual_seed(options.seed)  # the judge's first weights
        pictures = PictureLosses(
            read_perceptual(options.vgg).to(device) if options.vgg else None,
            PatchJudge().to(device) if options.judge else None,
        )
        weights = replace(Weights(), canonical=options.canonical, landmark=options.landmark)
        penalties = Penalties(options.canonical_loss, options.landmark_loss)
        tuning = FineTuning(
            network, weights, options.seed, options.steps, options.batch, options.rate, renderer, penalties,
            pictures,
        )  # fmt: skip
        resume = options.out.with_suffix(".resume.safetensors")
        go_on(tuning.run, resume)
    except ValueError as error:
        parser.error(str(error))
    tuning.train(data, resume)
    facts = {"seed": str(options.seed), "licence": "as the files it started from"}
    facts["command"] = command("liveportrait.finetune_motion_extractor")
    tuning.write(options.out, facts, options.drawing)


if __name__ == "__main__":
    main()
