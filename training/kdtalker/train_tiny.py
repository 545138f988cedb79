"""Train a small KDTalker on faces that rules move to synthetic speech, and measure whether lips follow new speech.

    python3 run.py python -m talking_portrait.training.kdtalker.train_tiny FOLDER RESULT.json [--variants full ...]

The speech is flite's, with known phone times; motion comes from training/takin/rules.py, about a person of a shape
and pose of their own; sound is heard by Wav2Lip's audio encoder with random weights, since the published ones are
not to be had here (a straight line from its features to the jaw has r 0.83 on new sentences). Tested on sentences
never heard of those voices, and on a voice never heard: r of the jaw with what the rules say, and r with the rules of
another sentence, which is what chance gives. FOLDER keeps the speech and the networks; a run that was stopped goes on.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy.cli_args
import numpy as np
import torch
from torch import Tensor

comfy.cli_args.args.cpu = True

from ...models.kdtalker.motion import MotionStatistics
from ...models.kdtalker.network import KDTalkerDenoiser, Sizes
from ...models.kdtalker.sampling import sample_motion
from ...models.speech.wav2lip import AudioEncoder, encode_speech
from ...models.takin.config import ANGLES, EXPRESSION, SCALE, TRANSLATION
from ..data.clips import Clip, Clips
from ..learning.loop import command, go_on, losses, train_fully, write_json
from ..speech_net.synthesisers import flite
from ..takin.films import joined, unheard_sentences
from ..takin.measures import best_lag, control, correlation
from ..takin.rules import rule_motion
from .objective import recipe
from .samples import SOUND, liveliest, sample, statistics
from .train import KDTalkerTraining, sizes_for

VOICES, OTHER_VOICE = ("slt", "awb", "kal16"), "rms"
TINY = Sizes(width=128, heads=4, layers=3, time=48)
STEPS, BATCH, WARM_UP, RATE_OF_ONE = 2000, 12, 100, 1e-4
VARIANTS: dict[str, dict] = {
    "full": {}, "without reference": {"without": ["reference"]}, "without rotary": {"without": ["rotary"]},
    "without attention": {"without": ["attention"]}, "15 points": {"points": 15}, "window 16": {"window": 16},
    "window 32": {"window": 32},
}  # fmt: skip
DIFFUSION_STEPS = 10


def hearing() -> AudioEncoder:
    """Wav2Lip's audio encoder with random weights, the same ones every time: normal over the root of a filter's
    size, norms near 1."""
    network, random = AudioEncoder().eval(), torch.Generator().manual_seed(11)
    state = network.state_dict()
    for key, value in state.items():
        leaf = key.rsplit(".", 1)[-1]
        if not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=random)
        if leaf == "running_var" or (value.ndim == 1 and leaf == "weight"):
            value.copy_(1 + 0.1 * noise.abs())
        elif value.ndim == 1:
            value.copy_(0.02 * noise)
        else:
            value.copy_(noise / value[0].numel() ** 0.5)
    network.load_state_dict(state)
    return network


def clip_of(
    name: str, wave: np.ndarray, parts: list, encoder: AudioEncoder, random: np.random.Generator
) -> Clip:
    """Somebody who says this, as a prepared film holds them."""
    truth = torch.from_numpy(rule_motion(wave, parts, random).motion)
    with torch.inference_mode():
        heard = encode_speech(encoder, wave, torch.device("cpu")).clone()
    shape = torch.from_numpy(random.normal(0, 0.1, 63)).float()
    own = torch.from_numpy(random.normal(0, 0.003, EXPRESSION)).float()
    pitch, yaw, roll = truth[:, ANGLES].split(1, 1)
    tracks = {
        "scale": 1.5 * truth[:, SCALE : SCALE + 1],
        "yaw": yaw, "pitch": pitch, "roll": roll, "t": truth[:, TRANSLATION], "exp": truth[:, :EXPRESSION] + own,
        "kp": shape.expand(len(truth), -1).contiguous(), SOUND: heard, "own": own[None],
    }  # fmt: skip
    return Clip(name, min(len(truth), len(heard)), {"encoder": "wav2lip of random weights"}, tracks=tracks)


def spoken(folder: Path, kind: str, count: int, seed: int, voices: Sequence[str]) -> Clips:
    """So many sentences as clips; what flite said is kept in the folder."""
    encoder, clips = hearing(), []
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(unheard_sentences(count, seed)):
        path = folder / f"{kind}_{number:03d}.npz"
        if not path.is_file():
            wave, phones, ends = flite(text, voices[number % len(voices)], 1.0)
            np.savez(path, wave=wave, phones=phones, ends=ends)
        said = np.load(path)
        wave, parts = joined([(said["wave"], said["phones"].tolist(), said["ends"].tolist())], False)
        clips.append(clip_of(f"{kind} {number}", wave, parts, encoder, np.random.default_rng([seed, number])))
    return Clips(clips)


@torch.inference_mode()
def said_by(
    network: KDTalkerDenoiser, found: MotionStatistics, clip: Clip, speech: Tensor, seed: int
) -> Tensor:
    """Expression [N,63] of the clip's person who says another sound [N,512], without what is their own."""
    first = sample(clip, found, 0, 1)
    chance, sizes = torch.Generator().manual_seed(seed), network.sizes
    made = sample_motion(
        network, speech, first["reference"][None], first["canonical"][None],
        lambda _: torch.randn(1, sizes.window, sizes.motion, generator=chance), DIFFUSION_STEPS, learnt=sizes.window,
    )  # fmt: skip
    return found.parts(made)["exp"] - clip.tracks["own"]


def lips(training: KDTalkerTraining, clips: Clips) -> dict[str, float]:
    """How the jaw follows the speech of these clips."""
    network, right, wrong, lags = training.network.eval(), [], [], []
    tracks = []
    for number, clip in enumerate(clips):
        heard = clip.rows(SOUND)
        made = said_by(network, training.statistics, clip, heard, number)
        truth = (clip.tracks["exp"] - clip.tracks["own"])[: len(heard)]
        tracks.append((control(made, "jawOpen"), control(truth, "jawOpen")))
    for number, (made, truth) in enumerate(tracks):
        right.append(correlation(made, truth))
        wrong.append(correlation(made, tracks[(number + 1) % len(tracks)][1]))
        lags.append(best_lag(made, truth))
    opening = (
        np.concatenate([made for made, _ in tracks]).std()
        / np.concatenate([truth for _, truth in tracks]).std()
    )
    training.network.train()
    return {
        "jaw_r": round(float(np.mean(right)), 3), "jaw_r_least": round(min(right), 3),
        "jaw_r_of_another_sentence": round(float(np.mean(wrong)), 3), "lag_frames": float(np.median(lags)),
        "opening_over_truth": round(float(opening), 3),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--variants", nargs="+", choices=tuple(VARIANTS), default=["full"])
    parser.add_argument("--sentences", type=int, default=72)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    films = spoken(options.folder, "train", options.sentences, 5, VOICES)
    tests = {
        "new sentences": spoken(options.folder, "test", 9, 6, VOICES),
        "a new voice": spoken(options.folder, "other", 6, 7, (OTHER_VOICE,)),
    }
    result: dict[str, Any] = (
        json.loads(options.result.read_text()) if options.result.is_file() else {"networks": {}}
    )
    result |= {"command": command("kdtalker.train_tiny"), "minutes_of_speech": round(films.minutes, 1)}
    for name in options.variants:
        chosen = {"window": 64, "points": 21, "without": [], **VARIANTS[name]}
        found = statistics(films)
        found = replace(found, points=liveliest(found, chosen["points"]))
        sizes = sizes_for(chosen["window"], chosen["points"], chosen["without"], TINY)
        rules = recipe(BATCH, options.steps, WARM_UP, rate_of_one=RATE_OF_ONE)
        training = KDTalkerTraining(films, sizes, found, rules, BATCH, options.seed, torch.device("cpu"))
        before, resume = lips(training, tests["new sentences"]), options.folder / f"{name}.resume.safetensors"
        go_on(training.run, resume)
        train_fully(training.run, training.loss, resume, report=100, name=name)
        result["networks"][name] = {
            "untrained": before, **{kind: lips(training, clips) for kind, clips in tests.items()},
            "steps": training.run.step, "of_steps": options.steps,
            "loss": losses(training.run),
        }  # fmt: skip
        training.write(options.folder / name.replace(" ", "_"), {"seed": options.seed})
        print(name, json.dumps(result["networks"][name]), flush=True)
        write_json(options.result, result)
    result["cpu_seconds"] = round(time.process_time() - began)
    write_json(options.result, result)


if __name__ == "__main__":
    main()
