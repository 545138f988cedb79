"""Train Takin-ADA's tiny network on prepared films (training/takin/prepare.py), on one CPU thread.

    python3 run.py python -m talking_portrait.training.takin.train \\
        OUT.safetensors DATA... --validation VALIDATION [--steps 5000] [--minutes 45]

Every minute the whole state goes to OUT.resume.safetensors, as it does at the end, on Ctrl-C and on a polite
kill; the same command goes on from there, with the same numbers as if it had never stopped. A hard kill costs
the last minute at most. The last step writes OUT (fp16, averaged weights) and OUT.json (seed, command, loss
curve). OUT.resume.progress.json says how far it is.
"""

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...models.sampling.schedule import noised
from ...models.takin.config import EXPRESSION, TINY
from ...models.takin.conformer import ConformerBlock
from ...models.takin.network import Conditions, TakinNet
from ...models.takin.sampling import alpha_bars
from .batches import CONTEXT_NOISE, Batch, Films, draw_batch, motion_statistics, read_films
from .objective import training_loss

RATE, WARM_UP, CLIP, DROPOUT = 1e-3, 200, 1.0, 0.05
AVERAGE = 0.999
SAVE_SECONDS = 60
VALIDATED = 10  # every so many reports
LICENCE = "Apache-2.0"


def prepare_for_training(network: TakinNet) -> None:
    """Start every block's condition from no effect, and "none" from a small random vector."""
    for block in network.motion_blocks:
        assert isinstance(block, ConformerBlock) and block.film is not None
        nn.init.zeros_(block.film.weight)
        nn.init.zeros_(block.film.bias)
    nn.init.normal_(network.null_speech, std=0.02)
    nn.init.normal_(network.null_emotion, std=0.02)


def loss_of(network: TakinNet, batch: Batch, signal: Tensor, dropout: float) -> Tensor:
    """The loss of one batch at random diffusion steps."""
    clean = network.normalised(batch.clean)
    context = network.normalised(batch.context)
    context = torch.cat(
        [context + CONTEXT_NOISE * torch.randn_like(context), torch.ones_like(context[..., :1])], 2
    )
    previous = context * batch.known[:, None, None]
    mean, deviation = network.motion_mean, network.motion_deviation
    command = torch.cat(
        [(batch.command[..., :-1] - mean[EXPRESSION:]) / deviation[EXPRESSION:], batch.command[..., -1:]], 2
    )
    shown = batch.exemplar_given[:, None, None]
    exemplar = (batch.exemplar - mean[:EXPRESSION]) / deviation[:EXPRESSION]
    given = Conditions(
        speech=network.encode_speech(batch.stack, dropout), previous=previous,
        reference=(batch.reference - mean[EXPRESSION:]) / deviation[EXPRESSION:], label=batch.label,
        exemplar=torch.cat([exemplar, torch.ones_like(exemplar[..., :1])], 2) * shown,
        command=torch.cat([command * batch.mask, batch.mask], 2),
    )  # fmt: skip
    steps = torch.randint(0, len(signal), (len(clean),))
    noise = torch.randn_like(clean)
    found = network(
        noised(clean, noise, signal[steps][:, None, None]), steps, given, batch.hear, batch.feel, dropout
    )
    return training_loss(network.config.prediction, found, clean, noise, previous)


def rate_at(step: int, steps: int) -> float:
    """Warm-up, then a cosine to a fiftieth."""
    if step < WARM_UP:
        return RATE * (step + 1) / WARM_UP
    done = (step - WARM_UP) / max(1, steps - WARM_UP)
    return RATE * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * min(done, 1.0))))


class Training:
    """All that a run is: network, averaged weights, optimiser, random numbers, curve."""

    def __init__(self, network: TakinNet, seed: int, steps: int):
        self.network, self.steps, self.step, self.seconds = network, steps, 0, 0.0
        self.random = np.random.default_rng(seed)
        self.curve: list[dict[str, float]] = []
        self.average = {key: value.clone() for key, value in network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(network.parameters(), RATE, betas=(0.9, 0.98), weight_decay=0.01)
        self.signal = alpha_bars(network.config.schedule, network.config.diffusion_steps).float()

    def advance(self, films: Films) -> float:
        """One step; its loss."""
        loss = loss_of(
            self.network, draw_batch(films, self.network.config, self.random), self.signal, DROPOUT
        )
        return self.learn(loss, rate_at(self.step, self.steps))

    def learn(self, loss: Tensor, rate: float) -> float:
        """Follow the gradient of a loss, and average the weights; the loss as a number."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        decay = min(AVERAGE, self.step / (self.step + 20))
        for key, value in self.network.state_dict().items():
            self.average[key].mul_(decay).add_(value, alpha=1 - decay)
        self.step += 1
        return loss.item()

    def save(self, path: Path) -> None:
        """Everything, so that a killed run goes on as if nothing had happened; replaces the file in one move."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{k}": torch.as_tensor(v) for k, v in state.items()}
        tensors["random.torch"] = torch.get_rng_state()
        written = {
            "step": self.step, "steps": self.steps, "seconds": self.seconds, "curve": self.curve,
            "random": self.random.bit_generator.state, "config": asdict(self.network.config),
        }  # fmt: skip
        replace_file(path, lambda part: save_file({k: v.contiguous() for k, v in tensors.items()}, part,
                                                  {"training": json.dumps(written)}))  # fmt: skip

    def resume(self, path: Path) -> None:
        """Go on from a file of `save`; ValueError if it is damaged or of another run."""
        try:
            with safe_open(str(path), "pt") as file:
                written = json.loads(file.metadata()["training"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} cannot be read ({error}): delete it to start anew, or put back a copy of it."
            ) from None
        if (written["config"], written["steps"]) != (asdict(self.network.config), self.steps):
            raise ValueError(
                f"{path} is of a run with other sizes or --steps {written['steps']}: use that, or delete the file."
            )

        def part(prefix: str) -> dict[str, Tensor]:
            return {
                key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
            }

        self.network.load_state_dict(part("network."))
        self.average = part("average.")
        state = self.optimiser.state_dict()
        state["state"] = {}
        for key, value in part("optimiser.").items():
            number, name = key.split(".", 1)
            state["state"].setdefault(int(number), {})[name] = value
        self.optimiser.load_state_dict(state)
        torch.set_rng_state(tensors["random.torch"])
        self.random.bit_generator.state = written["random"]
        self.step, self.seconds, self.curve = written["step"], written["seconds"], written["curve"]


def replace_file(path: Path, write) -> None:
    """Write beside `path`, then move over it, so that a kill leaves the old one or the new one."""
    part = path.with_name(path.name + ".part")
    write(part)
    os.replace(part, path)


def validation_loss(training: Training, films: Films, batches: int = 12) -> float:
    """Loss of the averaged weights on the same windows and noises every time; the run's own random numbers
    stay untouched."""
    network = TakinNet(training.network.config)
    network.load_state_dict(training.average)
    kept, random = torch.get_rng_state(), np.random.default_rng(0)
    torch.manual_seed(0)
    with torch.inference_mode():
        losses = [
            loss_of(network, draw_batch(films, network.config, random), training.signal, 0.0)
            for _ in range(batches)
        ]
    torch.set_rng_state(kept)
    return float(torch.stack(losses).mean())


def write_result(training: Training, out: Path, facts: dict) -> None:
    """The averaged weights in fp16, and what made them."""
    exact = ("motion_mean", "motion_deviation")
    weights = {key: value if key in exact else value.half() for key, value in training.average.items()}
    header = training.network.config.header() | {
        "licence": LICENCE,
        "seed": str(facts["seed"]),
        "command": facts["command"],
    }
    replace_file(out, lambda part: save_file(weights, part, header))
    text = json.dumps({**facts, "config": asdict(training.network.config), "curve": training.curve}, indent=1)
    replace_file(out.with_suffix(".json"), lambda part: part.write_text(text + "\n", encoding="utf-8"))


def train(
    training: Training, films: Any, validation: Films | None, resume: Path, seconds: float, report: int = 50
) -> bool:
    """Steps until all are done or the time is up; true if all are done. Progress goes to the terminal and
    beside `resume`."""
    stop: list[int] = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _: stop.append(number))
    started = saved = time.monotonic()
    before, losses = training.seconds, []
    while training.step < training.steps and not stop:
        losses.append(training.advance(films))
        now = time.monotonic()
        training.seconds = before + now - started
        if training.step % report == 0:
            entry = {
                "step": training.step,
                "loss": round(float(np.mean(losses[-report:])), 4),
                "seconds": round(training.seconds),
            }
            if validation is not None and training.step % (VALIDATED * report) == 0:
                entry["validation"] = round(validation_loss(training, validation), 4)
            training.curve.append(entry)
            print(f"{training.step} of {training.steps}: {entry}", flush=True)
            text = json.dumps(entry | {"steps": training.steps})
            replace_file(
                resume.with_suffix(".progress.json"),
                lambda part, text=text: part.write_text(text, encoding="utf-8"),
            )
        if now - saved > SAVE_SECONDS:
            training.save(resume)
            saved = now
        if training.seconds > seconds:
            break
    training.save(resume)
    return training.step >= training.steps


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--validation", type=Path)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=45.0, help="stop after this long, resumable")
    parser.add_argument("--prediction", choices=("x0", "eps"), default="x0")
    parser.add_argument("--report", type=int, default=50, help="steps between two reports")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    films = read_films(arguments.data)
    validation = read_films([arguments.validation]) if arguments.validation else None
    _, layers, width = films.features[0].shape
    network = TakinNet(
        replace(
            TINY,
            encoder=films.encoder,
            encoder_layers=layers,
            encoder_width=width,
            prediction=arguments.prediction,
        )
    )
    prepare_for_training(network)
    mean, deviation = motion_statistics(films, network.config, np.random.default_rng(arguments.seed))
    network.motion_mean.copy_(mean)
    network.motion_deviation.copy_(deviation)
    training, resume = (
        Training(network, arguments.seed, arguments.steps),
        arguments.out.with_suffix(".resume.safetensors"),
    )
    if resume.is_file():
        try:
            training.resume(resume)
        except ValueError as error:
            parser.error(str(error))
        print(f"goes on from step {training.step}", flush=True)
    minutes = sum(len(track) for track in films.motion) / 25 / 60
    done = train(training, films, validation, resume, arguments.minutes * 60, arguments.report)
    words = (Path(word).name if word.endswith(".safetensors") else word for word in sys.argv[1:])
    command = "python3 run.py python -m talking_portrait.training.takin.train " + " ".join(words)
    facts = {
        "seed": arguments.seed, "command": command, "data": films.made,
        "minutes_of_speech": round(minutes, 1),
        "steps": training.step, "training_seconds": round(training.seconds), "done": done,
    }  # fmt: skip
    write_result(training, arguments.out, facts)
    print(f"{training.step} steps in {training.seconds:.0f} s, {arguments.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
