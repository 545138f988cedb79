"""Train Takin-ADA's tiny network twice, once to predict the motion (x0, which ships) and once its noise (eps, the
paper's equation 3), on the same films with the same chance, and measure both in one table.

    python3 run.py python -m talking_portrait.training.takin.compare_predictions \\
        FOLDER RESULT.json DATA... [--steps 800] [--seed 1] [--films 2]

DATA are prepared films (training/takin/prepare.py). x0 has terms for speed, first frame and lips that eps cannot have.
Both are scored on the films of `evaluate --set development`, of voices that were trained on and voices that were not,
with few and with many steps of DDIM: how jaw, rounding and spreading follow the sounds, p, b, m against open vowels,
the jitter of what is drawn over that of the truth, and seams. FOLDER keeps the networks; a stopped run goes on.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.takin.generator import Sampling
from ..learning.loop import command, go_on, losses, train_fully, write_json
from .batches import read_films
from .evaluate import Study, rounded
from .films import make_films
from .hearing import hearing_of
from .measures import step_sizes
from .shipped import load
from .train import begin

PREDICTIONS = ("x0", "eps")
DRAWN = (10, 50)  # steps of DDIM
KEPT = (
    "jaw_r", "jaw_r_steady", "round_r", "wide_r", "pbm_auc", "mouth_error", "jaw_deviation", "jaw_r_other_clip",
)  # fmt: skip


def scores(study: Study) -> dict[str, float]:
    """Lips, jitter and seams of a network at the study's steps."""
    lips = study.lips()
    drawn = [step_sizes(study.network, study.draw(film)[0]).mean() for film in study.films]
    true = [step_sizes(study.network, film.truth).mean() for film in study.films]
    return {
        **{name: lips[name] for name in KEPT},
        "jitter_over_truth": float(np.mean(drawn) / np.mean(true)), "seam_jump": study.seams(study.sampling),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--films", type=int, default=2, help="of each of the four voices")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        clips = read_films(options.data)
    except ValueError as error:
        parser.error(str(error))
    hearing = hearing_of(clips.encoder)
    films = make_films("development", options.films, 2, 77, hearing)
    mine: dict[str, Any] = {
        "command": command("takin.compare_predictions"), "steps": options.steps,
        "minutes_of_speech": round(clips.minutes, 1), "encoder": clips.encoder,
    }  # fmt: skip
    for prediction in PREDICTIONS:
        began = time.process_time()
        torch.manual_seed(options.seed)
        run = begin(clips, prediction, options.steps, options.seed)
        out = options.folder / f"{prediction}_{options.seed}.safetensors"
        resume = out.with_suffix(".resume.safetensors")
        go_on(run.run, resume)
        train_fully(run.run, run.loss, resume, name=prediction)
        run.write(out, {"seed": options.seed})
        network, _ = load(out)
        with torch.inference_mode():
            study = Study(network, hearing, films, Sampling())
            found = {
                f"{steps} steps": scores(replace(study, sampling=Sampling(steps=steps))) for steps in DRAWN
            }
        mine[prediction] = {
            **found, "loss": losses(run.run)[::4], "cpu_seconds": round(time.process_time() - began),
        }  # fmt: skip
        print(prediction, json.dumps(rounded(found)), flush=True)
        # others may have added their own meanwhile
        result = json.loads(options.result.read_text()) if options.result.is_file() else {}
        write_json(options.result, result | {f"seed {options.seed}": rounded(mine)})


if __name__ == "__main__":
    main()
