"""Pictures of people with their landmarks, for fine-tuning LivePortrait's motion extractor
(training/liveportrait/finetune_motion_extractor.py).

    python3 run.py python -m talking_portrait.training.takin.stage1_pictures \\
        OUT.safetensors [--people 20] [--each 48] [--seed 1]

Draws made-up people (training/data/drawn_faces.py). OUT holds `pictures` [N,3,S,S] bytes, `landmarks`
[N,478,2] in -1..1, `pose` [N,3] in degrees (pitch, yaw, roll), `person` [N]. Other pictures serve as well, if
they are written in this form: square around the face as LivePortrait crops it, 256 pixels for the published
network.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import comfy.cli_args
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from ..data.drawn_faces import CONTROLS, DrawnPerson, draw, drawn_moments, drawn_people


@dataclass(frozen=True)
class Pictures:
    """pictures [N,3,S,S] bytes, landmarks [N,478,2], pose [N,3], person [N]."""

    pictures: Tensor
    landmarks: Tensor
    pose: Tensor
    person: Tensor

    def __len__(self) -> int:
        return len(self.person)

    def of(self, index: Tensor) -> "Pictures":
        """Those pictures alone."""
        return Pictures(**{name: value[index] for name, value in vars(self).items()})


def read_pictures(path: Path) -> Pictures:
    """ValueError if the file cannot be read, is another one, or has fewer than two pictures of a person."""
    try:
        tensors = load_file(path)
        found = Pictures(**{name: tensors[name] for name in Pictures.__dataclass_fields__})
    except (SafetensorError, OSError, KeyError) as error:
        raise ValueError(
            f"{path} holds no pictures for this training ({error}); training/takin/stage1_pictures.py writes them."
        ) from None
    count, side = len(found.person), found.pictures.shape[-1]
    wanted = {
        "pictures": (count, 3, side, side),
        "landmarks": (count, 478, 2),
        "pose": (count, 3),
        "person": (count,),
    }
    for name, shape in wanted.items():
        if getattr(found, name).shape != shape:
            raise ValueError(
                f"{path}: {name} has shape {tuple(getattr(found, name).shape)}; {shape} is needed."
            )
    if count == 0 or found.person.unique(return_counts=True)[1].min() < 2:
        raise ValueError(
            f"{path}: every person needs two pictures or more, since the losses compare pictures of one person."
        )
    return found


def drawn_pictures(
    people: list[DrawnPerson], each: int, size: int, random: np.random.Generator, frontal: bool = False
) -> Pictures:
    """`each` pictures of everybody; `frontal`: nothing but the expression changes."""
    pictures, landmarks, poses, persons = [], [], [], []
    for number, who in enumerate(people):
        controls, pose, place = drawn_moments(random, each)
        if frontal:
            pose, place = np.zeros_like(pose), np.tile([1.0, 0.0, 0.0], (each, 1))
        for moment in zip(controls, pose, place, strict=True):
            picture, points = draw(who, moment[0], moment[1], size, moment[2])
            pictures.append(torch.from_numpy(picture.copy()).permute(2, 0, 1))
            landmarks.append(torch.from_numpy(points))
            poses.append(torch.from_numpy(moment[1]).float())
            persons.append(number)
    return Pictures(torch.stack(pictures), torch.stack(landmarks), torch.stack(poses), torch.tensor(persons))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--each", type=int, default=48, help="pictures of each person")
    parser.add_argument(
        "--size", type=int, default=64, help="pixels of a side; the published network sees 256"
    )
    parser.add_argument(
        "--frontal", action="store_true", help="nothing but the expression changes: for measuring"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    found = drawn_pictures(
        drawn_people(options.people, options.seed), options.each, options.size, random, options.frontal
    )
    header = {
        "made_by": "training/takin/stage1_pictures.py",
        "seed": str(options.seed),
        "expressions": " ".join(CONTROLS),
    }
    save_file({name: value.contiguous() for name, value in vars(found).items()}, options.out, header)
    print(f"{len(found)} pictures of {options.people} people")


if __name__ == "__main__":
    main()
