"""Train FantasyTalking's audio on prepared films (training/fantasytalking/prepare_films.py), in two stages beside a
Wan2.1 that stays as it is.

    python3 run.py python -m talking_portrait.training.fantasytalking.train OUT.safetensors FILMS \\
        --model wan2.1_i2v_480p_14B_bf16.safetensors [--clip-steps 80000] [--frame-steps 20000] [--batch 1]

OUT is in the form of the published file: put it where FantasyTalking's loader looks. The state goes to
OUT.clip.resume.safetensors, then OUT.frame.resume.safetensors, every minute and at the end, and the same command goes
on from there. One GPU; the blocks of Wan compute themselves again backward. The paper used 64 GPUs.
"""

import argparse
from pathlib import Path
from typing import Any

import comfy.cli_args
import torch
from safetensors.torch import save_file
from torch import Tensor

comfy.cli_args.args.cpu = not torch.cuda.is_available()

import comfy.model_management
import comfy.sd

from ...models.atomic_file import atomic_file
from ...models.fantasytalking.network import FantasyTalking
from ..data.clips import Clip, Clips, read_clips
from ..learning.core import checkpointed
from ..learning.loop import command, go_on, train, write_json
from ..learning.training import Training
from .dual_stage import CLIP, FRAME, RATE, STEPS, begun, recipe, stage_loss
from .objective import Films, hearing

MAKER = "training/fantasytalking/prepare_films.py"
TENSORS = ("latents", "beside", "clip_vision", "text", "speech", "lips")
WIDTH = 2048  # of an audio token


def given(clips: list[Clip], device: torch.device) -> Films:
    """Clips as a batch; ValueError if their films are of different shapes."""
    found = {name: [clip.rows(name)[0] for clip in clips] for name in TENSORS}
    for name, values in found.items():
        if len({value.shape for value in values}) > 1:
            raise ValueError(
                f"the {name} of a batch are of different shapes; take --batch 1, or films of one shape"
            )
    stacks: dict[str, Tensor] = {
        name: torch.stack(values).float().to(device) for name, values in found.items()
    }
    nobody = torch.zeros(len(clips), 512, device=device), torch.zeros(len(clips), 2, device=device)
    return Films(**stacks, identity=nobody[0], intensity=nobody[1])


def stage(
    wan: Any, adapter: FantasyTalking, clips: Clips, name: str, steps: int, batch: int, seed: int, out: Path,
    rate: float = RATE, report: int = 50,
) -> Training:  # fmt: skip
    """One stage, to its end or until somebody stops it."""
    device = next(adapter.parameters()).device
    run = Training(
        adapter, recipe(steps, rate), seed, {"stage": name, "films": clips.digest(), "batch": batch}
    )
    resume = out.with_suffix(f".{name}.resume.safetensors")
    go_on(run, resume)

    def loss() -> Tensor:
        return stage_loss(wan, adapter, given(clips.batch(batch, run.step, seed), device), name)

    with hearing(wan), checkpointed(wan.blocks):
        train(run, loss, resume, report=report, name=name)
    return run


def published_name(key: str) -> str:
    """blocks.0.k_proj.weight -> blocks.0.cross_attn.k_proj.weight, as the safetensors edition has it."""
    if not key.startswith("blocks."):
        return key
    blocks, number, rest = key.split(".", 2)
    return f"{blocks}.{number}.cross_attn.{rest}"


def write(adapter: FantasyTalking, out: Path, facts: dict) -> None:
    """In half precision, in the form of the published file."""
    weights = {key: value.detach().half().cpu().contiguous() for key, value in adapter.state_dict().items()}
    state = {published_name(key): value for key, value in weights.items()}
    with atomic_file(out) as part:
        save_file(state, part, {name: str(facts[name]) for name in ("seed", "command") if name in facts})
    write_json(out.with_suffix(".json"), facts)


def train_stages(
    wan: Any, adapter: FantasyTalking, clips: Clips, steps: dict[str, int], **options: Any
) -> dict:
    """Both stages, one behind the other; what there is to tell of them."""
    told: dict[str, Any] = {}
    for name in (CLIP, FRAME):
        run = stage(wan, adapter, clips, name, steps[name], **options)
        told[name] = {"steps": run.step, "seconds": round(run.seconds), "curve": run.curve}
        if run.step < steps[name]:
            break
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("films", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="Wan2.1 image to video, 14B")
    parser.add_argument("--clip-steps", type=int, default=STEPS[CLIP])
    parser.add_argument("--frame-steps", type=int, default=STEPS[FRAME])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        clips = read_clips(options.films, MAKER, TENSORS)
        clips.batch(options.batch, 0, options.seed)
        patcher = comfy.sd.load_diffusion_model(str(options.model))
        comfy.model_management.load_models_gpu([patcher], force_full_load=True)
        wan: Any = patcher.model.diffusion_model.requires_grad_(False)
        torch.manual_seed(options.seed)
        vectors = clips[0].rows("speech").shape[-1]
        adapter = begun(FantasyTalking(vectors, WIDTH, wan.dim, len(wan.blocks))).to(patcher.load_device)
        told = train_stages(
            wan, adapter, clips, {CLIP: options.clip_steps, FRAME: options.frame_steps}, batch=options.batch,
            seed=options.seed, out=options.out, rate=options.rate,
        )  # fmt: skip
    except ValueError as error:
        parser.error(str(error))
    write(adapter, options.out, {"seed": options.seed, "command": command("fantasytalking.train"), **told})
    print(f"{options.out} is written")


if __name__ == "__main__":
    main()
