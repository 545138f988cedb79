"""Answers to the golden data of KDTalker's training: its step, its data, its schedule.

Their results stand in nested tables; `WANTED` lays them out, one output of numbers or names each.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...models.kdtalker.network import build_denoiser
from ...training.data.clips import Clip, Clips
from ...training.kdtalker.objective import (
    AVERAGE,
    BATCH,
    STEPS,
    WARM_UP,
    disturbed,
    ready_to_train,
    terms,
    with_condition_rows,
)
from ...training.kdtalker.objective import recipe as published_recipe
from ...training.kdtalker.samples import PARTS, SOUND, last_start, sample, statistics, usable_frames
from ...training.learning.recipe import Recipe
from ...training.learning.training import Training
from .liveportrait import Outputs

LOSSES = {"loss": "loss", "loss_exp": "expression", "loss_pose": "pose"}
SMALL = 0.01  # of the highest rate: steps that float32 can hardly take
SAMPLE = {"sequence_keypoints": "motion", "ref_keypoint": "reference", "aud_feat": "speech"}


def row(values: Iterable[float]) -> dict[str, Any]:
    """Plain numbers in the form of an output."""
    values = [float(value) for value in values]
    return {"shape": [len(values)], "idx": list(range(len(values))), "values": values}


def numbers(values: Iterable[Any]) -> Tensor:
    """Computed numbers as a row."""
    return torch.tensor([float(value) for value in values], dtype=torch.float64)


def change_word(lr: float, data: Mapping[str, Any]) -> str:
    """What the changes of a step are called: by its rate they are held to other tolerances."""
    return "small_change" if lr < SMALL * peak(data["config"]) else "change"


def peak(config: Mapping[str, Any]) -> float:
    """The highest learning rate."""
    return config["base_lr"] * config["batch_size_for_lr"] * config["num_processes"]


def wanted_of_steps(data: Mapping[str, Any]) -> dict[str, Any]:
    """Every result of every step of every run."""
    found: dict[str, Any] = {
        "no_decay": data["parameter_groups"]["no_decay"],
        "decay_count": row([data["parameter_groups"]["decay_count"]]),
        "parameters_without_gradient": data["parameters_without_gradient"],
    }
    for name, case in data["cases"].items():
        for number, step in enumerate(case["steps"]):
            values, word = step["values"], change_word(step["values"]["lr"], data)
            tables = {
                "lr": row([values["lr"]]), "losses": row(values[key] for key in LOSSES),
                "audio_mean_std": row(values["audio_mean_std"]) if values.get("audio_mean_std") else None,
                "norms": row([values["grad_norm_before_clip"], values["grad_norm_after_clip"]]),
                "gradient_norms": row(values["grad_norms_after_clip"].values()),
                word: row(values["change_norms"].values()), f"{word}_total": row([values["change_norm_total"]]),
            }  # fmt: skip
            tables |= step["outputs"]
            found |= {f"{name}/{number}/{key}": table for key, table in tables.items() if table is not None}
    return found


def recipe_of(config: Mapping[str, Any], clip: float) -> Recipe:
    """The published recipe with a file's numbers."""
    found = published_recipe(
        config["batch_size_for_lr"] * config["num_processes"], config["training_steps"], config["warmup_steps"],
        clip, rate_of_one=config["base_lr"],
    )  # fmt: skip
    return replace(found, betas=tuple(config["betas"]), eps=config["eps"], decay=config["weight_decay"])


def filled_denoiser(case: Any):
    """A denoiser with the declared weights, ready to be trained."""
    state = case.weights(case.data["networks"][0])
    network = build_denoiser(state, {})
    network.load_state_dict(state)
    return ready_to_train(network)


def trained_steps(case: Any) -> Outputs:
    with torch.inference_mode(False), torch.enable_grad():
        outputs: Outputs = {}
        for name, run in case.data["cases"].items():
            outputs |= one_run(case, name, run)
        return outputs


def one_run(case: Any, name: str, run: Mapping[str, Any]) -> Outputs:
    """The steps of one run from the declared weights on."""
    network = filled_denoiser(case)
    training = Training(network, recipe_of(case.data["config"], run["clip_grad_norm"]), 0)
    training.step = run["scheduler_steps_before"]
    decayed, kept = training.recipe.groups(network)
    outputs: Outputs = {"no_decay": kept, "decay_count": numbers([len(decayed)])}  # type: ignore[dict-item]
    for number, step in enumerate(run["steps"]):
        found = one_step(case, training, number, step)
        outputs |= {f"{name}/{number}/{key}": value for key, value in found.items()}
    without = [key for key, value in network.named_parameters() if value.grad is None]
    # the published network shares its rotary frequencies among the layers; ours are one in each
    shared = [
        key for key in without if not key.endswith("freqs") or key.startswith("point_model.model.layers.0.")
    ]
    wanted = case.data["parameters_without_gradient"]
    outputs["parameters_without_gradient"] = sorted(shared, key=lambda key: wanted.index(key) if key in wanted else -1)  # type: ignore[assignment] # fmt: skip
    return outputs


def one_step(case: Any, training: Training, number: int, step: Mapping[str, Any]) -> Outputs:
    """One step on the declared batch, noise and diffusion steps."""
    network: Any = training.network
    given = {name: case.inputs[f"step{number}/{name}"] for name in SAMPLE}
    batch = {ours: given[theirs] for theirs, ours in SAMPLE.items()}
    batch["canonical"] = case.inputs[f"step{number}/ori_keypoint_63"]
    heard = with_condition_rows(batch["speech"], network.sizes.tokens)
    outputs: Outputs = {"audio_mean_std": numbers([heard.mean(), heard.std()])}
    if step["augment_audio"]:
        heard = disturbed(heard, case.inputs[f"step{number}/audio_noise"])
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    inside: dict[str, Tensor] = {}
    hooks = [
        network.point_model["model"].register_forward_pre_hook(
            lambda _, args: inside.update(denoiser_input=args[0], denoiser_context=args[2])
        )
    ]
    losses, noisy, predicted = terms(
        network, batch, torch.tensor(step["timesteps"]), case.inputs[f"step{number}/noise"], heard
    )
    for hook in hooks:
        hook.remove()
    taken = training.learn(losses)
    after = dict(network.named_parameters())
    gradients = {name: value.grad for name, value in after.items() if value.grad is not None}
    changes = {name: (value.detach() - before[name]).double() for name, value in after.items()}
    values, word = step["values"], change_word(step["values"]["lr"], case.data)
    outputs |= {
        "lr": numbers([taken.rate]), "losses": numbers(losses[LOSSES[key]].detach() for key in LOSSES),
        "norms": numbers([taken.norm, norm_of(gradients.values())]),
        "gradient_norms": numbers(gradients[key].double().norm() for key in values["grad_norms_after_clip"]),
        word: numbers(changes[key].norm() for key in values["change_norms"]),
        f"{word}_total": numbers([norm_of(changes.values())]),
        "x_t": noisy, "noise_pred": predicted, **inside,
    }  # fmt: skip
    return outputs | {f"gradient/{name}": gradient.clone() for name, gradient in gradients.items()
                      if f"gradient/{name}" in step["outputs"]}  # fmt: skip


def norm_of(parts: Iterable[Tensor]) -> Tensor:
    """The norm of all of them together, in float64."""
    return torch.stack([part.double().norm() for part in parts]).norm()


def wanted_of_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Statistics, ranges and samples."""
    found = {f"norm/{name}": table for name, table in data["norm"].items()}
    for name, item in data["items"].items():
        found[f"{name}/usable_frames"] = row([item["usable_frames"]])
        found[f"{name}/draw_range"] = row(item["draw_range_inclusive"])
        found |= {f"{name}/{key}": table for key, table in item["outputs"].items()}
    return found


def data_samples(case: Any) -> Outputs:
    clips = {}
    for name in case.data["items"]:
        tracks = {part: case.inputs[f"{name}/{part}"] for part in (*PARTS, "kp")}
        tracks["t"] = torch.cat([tracks["t"][:, :2], torch.zeros(len(tracks["t"]), 1)], 1)
        tracks[SOUND] = case.inputs[f"{name}/aud_feat"]
        clips[name] = Clip(name, len(tracks["t"]), tracks=tracks)
    found = statistics(Clips(list(clips.values())))
    outputs: Outputs = {f"norm/{name}": value for name, value in found.values.items()}
    for name, item in case.data["items"].items():
        window = item["outputs"]["sequence_keypoints"]["shape"][0]
        one = sample(clips[name], found, item["draw"], window)
        outputs[f"{name}/usable_frames"] = numbers([usable_frames(clips[name])])
        outputs[f"{name}/draw_range"] = numbers([0, last_start(clips[name], window)])
        outputs |= {f"{name}/{theirs}": one[ours] for theirs, ours in SAMPLE.items()}
        outputs[f"{name}/ori_keypoint"] = torch.nn.functional.pad(one["canonical"], (7, 0))
    return outputs


def wanted_of_schedule(data: Mapping[str, Any]) -> dict[str, Any]:
    """Learning rates, noise and averages."""
    return {
        "learning_rate": row(data["learning_rate_at_completed_steps"].values()),
        **data["add_noise"]["outputs"],
        "effective_decay": row(data["ema"]["effective_decay"]), **data["ema"]["outputs"],
    }  # fmt: skip


def schedule_and_average(case: Any) -> Outputs:
    data, config = case.data, case.data.get("config", {})
    recipe = published_recipe(
        BATCH, config.get("training_steps", STEPS), config.get("warmup_steps", WARM_UP),
        rate_of_one=data["peak_learning_rate"] / BATCH,
    )  # fmt: skip
    outputs = {
        "learning_rate": numbers(recipe.rate_at(int(n)) for n in data["learning_rate_at_completed_steps"])
    }
    steps = torch.tensor(data["add_noise"]["timesteps"])
    noise, clean = case.inputs["noise"], case.inputs["x0"]
    outputs["x_t"] = noised_motion(clean, noise, steps)
    average, rows = replace(AVERAGE, most=data["ema"]["decay"]), case.inputs["ema"]
    moves = range(1, 1 + len(data["ema"]["effective_decay"]))
    outputs["effective_decay"] = numbers(average.kept(move) for move in moves)
    state = {"row": rows[0].clone()}
    for move in moves:
        average.moved(state, {"row": rows[move]}, move)
        outputs[f"after_{move}"] = state["row"].clone()
    return outputs


def noised_motion(clean: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
    """Motion as the training's step makes it noisy."""

    class Silent:
        """In the denoiser's place: what it is shown is all that is asked for."""

        def __call__(self, noisy: Tensor, *_: Any) -> Tensor:
            return torch.zeros_like(noisy)

    given = {"motion": clean, "reference": clean[:, 0], "canonical": clean[:, 0]}
    return terms(Silent(), given, steps, noise, clean)[1]  # type: ignore[arg-type]


CASES: dict[str, Callable[[Any], Outputs]] = {
    "kd_training_step": trained_steps, "kd_training_data": data_samples, "kd_training_schedule": schedule_and_average,
}  # fmt: skip
WANTED: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "kd_training_step": wanted_of_steps, "kd_training_data": wanted_of_data,
    "kd_training_schedule": wanted_of_schedule,
}  # fmt: skip
