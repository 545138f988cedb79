"""The one loop of all trainings, its checkpoint, and the form of prepared films."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from talking_portrait.training.data.clips import Clip, Clips, read_clips
from talking_portrait.training.learning.loop import go_on, train, train_fully
from talking_portrait.training.learning.recipe import Average, Cosine, Recipe
from talking_portrait.training.learning.training import Training
from torch import nn

RECIPE = Recipe(
    steps=12, rate=0.01, schedule=Cosine(4, first=0), undecayed="bias", average=Average(0.9, every=2)
)
CLIPS = Clips([Clip(f"film {number}", 30) for number in range(7)])


def begun(recipe: Recipe = RECIPE, seed: int = 3) -> Training:
    """A run of a small network with a layer that is not trained."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 1))
    network[0].bias.requires_grad_(False)
    return Training(network, recipe, seed, {"films": CLIPS.digest()})


def loss_of(run: Training):
    """A loss that draws from every source of chance that a run has: torch, numpy, and the place in the data."""
    clips = CLIPS.batch(3, run.step, run.seed)
    shift = sum(float(clip.name.split()[1]) for clip in clips)
    given = torch.randn(6, 4) + shift + float(run.random.normal())
    return {"loss": run.network(given).square().mean(), "shift": torch.tensor(shift)}


def test_a_killed_run_goes_on_bit_by_bit(tmp_path):
    whole, losses = begun(), []
    for _ in range(12):
        losses.append(whole.learn(loss_of(whole)).terms)
    first = begun()
    early = [first.learn(loss_of(first)).terms for _ in range(5)]
    first.save(tmp_path / "run.resume.safetensors")
    torch.randn(17)
    second = begun()
    second.resume(tmp_path / "run.resume.safetensors")
    assert second.step == 5 and second.moves == 2
    assert early + [second.learn(loss_of(second)).terms for _ in range(7)] == losses
    for mine, theirs in (
        (whole.network.state_dict(), second.network.state_dict()),
        (whole.result(), second.result()),
    ):
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    states = [run.optimiser.state_dict()["state"] for run in (whole, second)]
    assert all(torch.equal(states[0][n][key], states[1][n][key]) for n in states[0] for key in states[0][n])


def test_the_first_step_of_a_warm_up_from_zero_changes_nothing_and_biases_keep_their_size():
    run = begun(replace(RECIPE, decay=0.5))
    before = {key: value.clone() for key, value in run.network.named_parameters()}
    assert run.learn(loss_of(run)).rate == 0
    assert all(torch.equal(before[key], value) for key, value in run.network.named_parameters())
    assert run.recipe.groups(run.network) == (["0.weight", "2.weight", "3.weight"], ["2.bias", "3.bias"])
    assert [group["weight_decay"] for group in run.optimiser.param_groups] == [0.5, 0.0]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("cut", "cannot be read"), ("another form", "its form is None"), ("other steps", "other settings .steps 12"),
        ("other films", "other settings .films"), ("other sizes", "a network of other sizes"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_is_refused_by_name(tmp_path, spoil, reason):
    path, run = tmp_path / "run.resume.safetensors", begun()
    run.save(path)
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif spoil == "another form":
        save_file(load_file(path), path)
    elif spoil == "other steps":
        run = begun(replace(RECIPE, steps=13))
    elif spoil == "other films":
        run.settings["films"] = Clips([Clip("another", 30)]).digest()
    else:
        torch.manual_seed(3)
        run = Training(nn.Linear(4, 9), RECIPE, 3, {"films": CLIPS.digest()})
    with pytest.raises(ValueError, match=f"run.resume.safetensors.*{reason}"):
        run.resume(path)


def test_a_polite_kill_saves_the_last_step_and_gives_the_signal_back(tmp_path, capsys):
    run, resume = begun(replace(RECIPE, steps=10**6)), tmp_path / "r.resume.safetensors"
    handler = signal.getsignal(signal.SIGTERM)

    def loss():
        if run.step == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss_of(run)

    assert not train(run, loss, resume, report=2, validate=lambda: 0.25)
    assert run.step == 7 and signal.getsignal(signal.SIGTERM) is handler
    again = begun(replace(RECIPE, steps=10**6))
    again.resume(resume)
    told = json.loads(resume.with_suffix(".progress.json").read_text())
    assert again.step == 7 and [entry["step"] for entry in again.curve] == [2, 4, 6] and told["step"] == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "r.resume.progress.json",
        "r.resume.safetensors",
    ]


def test_a_program_that_does_more_with_a_result_ends_where_its_run_was_stopped(tmp_path):
    run, resume = begun(), tmp_path / "r.resume.safetensors"

    def loss():
        if run.step == 4:
            signal.raise_signal(signal.SIGINT)
        return loss_of(run)

    with pytest.raises(SystemExit, match="stopped after 5 of 12 steps; the same command goes on"):
        train_fully(run, loss, resume)
    again = begun()
    go_on(again, resume)
    train_fully(again, lambda: loss_of(again), resume)
    assert again.step == 12


def test_gradients_that_are_no_numbers_stop_a_run_before_its_weights():
    run = begun()
    before = run.network[3].weight.clone()
    with pytest.raises(FloatingPointError, match="step 0 are no numbers"):
        run.learn(run.network(torch.full((6, 4), float("nan"))).mean())
    assert torch.equal(run.network[3].weight, before)


def test_every_epoch_has_every_clip_once_in_another_order():
    epochs = [
        [clip.name for step in range(2 * e, 2 * e + 2) for clip in CLIPS.batch(3, step, 5)] for e in range(40)
    ]
    assert all(len(set(names)) == 6 for names in epochs) and len({tuple(names) for names in epochs}) > 30
    assert len({name for names in epochs for name in names}) == 7, (
        "the clip that is left out is always the same"
    )
    with pytest.raises(ValueError, match="lower --batch"):
        CLIPS.batch(8, 0, 5)


def prepared(path: Path, encoder: str = "ear", **tracks: torch.Tensor) -> None:
    """A file of two stretches, of 5 and 3 frames."""
    rows = {"motion": torch.arange(16.0).view(8, 2), "sound": torch.arange(16.0)[:, None], **tracks}
    save_file({**rows, "frames": torch.tensor([5, 3])}, path, {"encoder": encoder})


def test_stretches_are_read_from_their_place_in_the_file(tmp_path):
    prepared(tmp_path / "a.safetensors")
    clips = read_clips(tmp_path, "prepare.py", ("motion", "sound"))
    second = clips[1]
    assert (len(clips), second.frames, clips.encoder) == (2, 3, "ear")
    assert second.rows("motion", 1).tolist() == [[12, 13], [14, 15]]
    assert second.rows("sound", 0, 2, each=2)[:, 0].tolist() == [10, 11, 12, 13]
    kept = read_clips([tmp_path / "a.safetensors"], "prepare.py", whole=("motion",))
    assert torch.equal(kept[1].rows("motion", 1), second.rows("motion", 1))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("nothing", "no prepared films; prepare.py makes them"), ("text", "b.safetensors cannot be read"),
        ("track", "b.safetensors cannot be read .it has no motion"),
        ("rows", "motion has 9 rows for 8 frames"), ("encoder", "different speech encoders: ear, nose"),
    ],
)  # fmt: skip
def test_prepared_films_that_cannot_be_used_say_why(tmp_path, spoil, reason):
    folder = tmp_path / "films"
    folder.mkdir()
    if spoil != "nothing":
        prepared(folder / "a.safetensors")
    if spoil == "text":
        (folder / "b.safetensors").write_text("404")
    elif spoil == "track":
        save_file({"frames": torch.tensor([1])}, folder / "b.safetensors", {"encoder": "ear"})
    elif spoil == "rows":
        prepared(folder / "b.safetensors", motion=torch.zeros(9, 2))
    elif spoil == "encoder":
        prepared(folder / "b.safetensors", "nose")
    with pytest.raises(ValueError, match=reason):
        read_clips(folder, "prepare.py", ("motion",))


def test_a_run_on_numpy_and_torch_chance_differs_with_its_seed():
    assert (
        begun(seed=3).learn(loss_of(begun(seed=3))).loss != begun(seed=4).learn(loss_of(begun(seed=4))).loss
    )
    assert np.isfinite(begun().recipe.rate_at(12))
