"""The tools that train Takin-ADA's tiny network: what it learns from, and that a killed run goes on without loss."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from talking_portrait.models.face_motion import CONTROLS, expression_to_controls
from talking_portrait.models.takin.config import EMOTIONS, EXPRESSION, TINY
from talking_portrait.models.takin.features import SpeechLayers
from talking_portrait.models.takin.network import build_takin
from talking_portrait.training.takin import batches, compare_predictions
from talking_portrait.training.takin import train as training
from talking_portrait.training.takin.batches import (
    FACES,
    draw_batch,
    motion_statistics,
    one_window,
    read_films,
)
from talking_portrait.training.takin.train import TakinTraining, new_network, recipe

from .stopping import stopped_after


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """Four films of noise for features and a slowly moving face."""
    path, random = tmp_path_factory.mktemp("takin") / "data.safetensors", np.random.default_rng(0)
    frames = [150, 40, 200, 130]
    motion = np.cumsum(random.normal(0, 0.001, (sum(frames), 70)), 0).astype(np.float32)
    motion[:, 63] += 1
    save_file(
        {
            "features": torch.randn(2 * sum(frames), 8, 112).half(), "motion": torch.from_numpy(motion),
            "lids": torch.zeros(sum(frames)), "frames": torch.tensor(frames),
        },
        path, {"encoder": "builtin-speech-test"},
    )  # fmt: skip
    return path


def voiced(seconds: float) -> np.ndarray:
    t = np.arange(int(seconds * 16000)) / 16000
    return (0.3 * np.sin(2 * np.pi * 150 * t)).astype(np.float32)


def test_rules_open_for_vowels_close_for_b_and_rest_in_silence():
    from talking_portrait.training.takin.rules import rule_motion

    parts = [("sil", 0.0, 1.0), ("AA", 1.0, 1.6), ("PP", 1.6, 1.8), ("AA", 1.8, 2.4), ("sil", 2.4, 4.0)]
    wave = voiced(4.0)
    wave[:16000] = wave[38400:] = 0
    made = rule_motion(wave, parts, np.random.default_rng(0))
    assert made.motion.shape == (100, 70) and made.lids.shape == (100,)
    controls = expression_to_controls(torch.from_numpy(made.motion[:, :EXPRESSION]).unflatten(1, (21, 3)))
    jaw, close = controls[:, CONTROLS.index("jawOpen")], controls[:, CONTROLS.index("mouthClose")]
    assert jaw[32] > 0.4 and jaw[52] > 0.4 and jaw[41:44].min() < 0.05 and close[41:44].max() > 0.9
    assert jaw[:20].abs().max() < 0.01 and jaw[75:].abs().max() < 0.01 and close[10] > 0.3
    assert np.ptp(made.motion[:, 68]) > 0.3, "the head is still"


def test_a_batch_adds_to_the_face_what_its_label_says(prepared):
    films = read_films([prepared])
    labels = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        window = one_window(films, 25, TINY, random)
        labels.append(window["label"][0])
        assert window["stack"].shape == (8, 70, 112) and window["clean"].shape == (25, 70)
        if not window["known"]:
            continue
        assert (
            np.abs(
                np.diff(np.concatenate([window["context"], window["clean"]])[:, :EXPRESSION], axis=0)
            ).max()
            < 0.01
        )
    shown = np.array(labels)
    assert (shown.sum(1) <= 1 + 1e-6).all() and (shown.sum(1) == 0).any() and (shown > 0).any(0).all(), (
        "some emotion is never told"
    )
    assert FACES[0].shape == (len(EMOTIONS), 63)
    batch = draw_batch(films, TINY, np.random.default_rng(1))
    assert len({len(value) for value in vars(batch).values()}) == 1 and batch.hear.dtype == torch.bool


def test_films_of_different_encoders_are_refused(prepared, tmp_path):
    other = tmp_path / "other.safetensors"
    save_file(load_file(prepared), other, {"encoder": "hubert-large"})
    with pytest.raises(ValueError, match="different speech encoders: builtin-speech-test, hubert-large"):
        read_films([prepared, other])


def started(films, steps: int = 6) -> TakinTraining:
    """A run of a small network, always from the same beginning."""
    torch.manual_seed(3)
    config = replace(TINY, encoder=films.encoder, width=16, heads=2, speech_layers=1, motion_layers=1)
    network = new_network(config, motion_statistics(films, config, np.random.default_rng(0), 4))
    return TakinTraining(
        network, partial(draw_batch, films, config), recipe(steps), 3, {"films": films.digest()}
    )


def test_a_run_that_stopped_goes_on_as_if_it_had_not(prepared, tmp_path):
    films = read_films([prepared])
    whole = started(films)
    losses = [whole.run.learn(whole.loss()).loss for _ in range(6)]
    first = started(films)
    early = [first.run.learn(first.loss()).loss for _ in range(3)]
    first.run.save(tmp_path / "resume.safetensors")
    torch.randn(17)
    second = started(films)
    second.run.resume(tmp_path / "resume.safetensors")
    assert early + [second.run.learn(second.loss()).loss for _ in range(3)] == losses
    for key, value in whole.run.result().items():
        assert torch.equal(value, second.run.result()[key]), key


@pytest.mark.slow
def test_the_loss_falls(prepared, monkeypatch):
    monkeypatch.setattr(training, "WARM_UP", 5)
    films = read_films([prepared])
    run = started(films, 40)
    held_out = partial(draw_batch, films, run.network.config)
    before = run.held_out(held_out)
    for _ in range(40):
        run.run.learn(run.loss())
    assert run.held_out(held_out) < 0.85 * before


def command(prepared: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "talking_portrait.training.takin.train", str(out), str(prepared), *options]


@pytest.mark.slow
def test_killed_politely_it_keeps_its_last_step_and_ends_with_a_network(
    prepared, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "takin.safetensors"
    run = subprocess.Popen(command(prepared, out, "--steps", "100000", "--report", "5"),
        stdout=subprocess.PIPE, text=True,
                           env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    progress, deadline = out.with_suffix(".resume.progress.json"), time.monotonic() + 240
    while not progress.is_file():
        assert run.poll() is None and time.monotonic() < deadline, "no progress"
        time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 0
    seen = json.loads(progress.read_text())
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["steps"] >= seen["step"] >= 5 and not facts["done"] and facts["curve"][0]["step"] == 5
    from safetensors import safe_open

    with safe_open(out, "pt") as file:
        header = file.metadata()
    network = build_takin(load_file(out), header)
    network.load_state_dict(load_file(out))
    assert network.config.encoder == "builtin-speech-test" and out.stat().st_size < 6e6
    resume = out.with_suffix(".resume.safetensors")
    resume.write_bytes(resume.read_bytes()[:1000])
    monkeypatch.setattr(sys, "argv", command(prepared, out, "--steps", "100000")[2:])
    threads = torch.get_num_threads()
    with pytest.raises(SystemExit) as refused:  # in this process: starting another takes longer than the rest
        training.main()
    torch.set_num_threads(threads)
    said = capsys.readouterr().err
    assert refused.value.code == 2 and "cannot be read" in said and "delete it to start anew" in said


@pytest.mark.slow
def test_both_predictions_are_trained_alike_and_told_in_one_table(prepared, tmp_path, monkeypatch):
    """Stopped and gone on as well, to the same figures. A score here is the mean of drawn motion."""
    monkeypatch.setattr(compare_predictions, "DRAWN", (1, 2))
    monkeypatch.setattr(batches, "TOKENS", 150)
    films = [
        SimpleNamespace(
            speech=SpeechLayers(torch.randn(8, 40, 112), "builtin-speech-test"), truth=torch.zeros(20, 70)
        )
    ]
    monkeypatch.setattr(compare_predictions, "hearing_of", lambda encoder: None)
    monkeypatch.setattr(compare_predictions, "make_films", lambda *given: films)
    monkeypatch.setattr(
        compare_predictions, "scores", lambda study: {"mean": float(study.draw(study.films[0]).mean())}
    )

    def ended(name: str) -> dict:
        words = [str(tmp_path / name), str(tmp_path / f"{name}.json"), str(prepared), "--steps", "2"]
        monkeypatch.setattr(sys, "argv", ["compare_predictions", *words])
        threads = torch.get_num_threads()
        try:
            compare_predictions.main()
        finally:
            torch.set_num_threads(threads)
        return json.loads((tmp_path / f"{name}.json").read_text())["seed 1"]

    whole = ended("whole")
    figures = [
        whole[prediction][f"{steps} steps"]["mean"] for prediction in ("x0", "eps") for steps in (1, 2)
    ]
    assert len(set(figures)) == 4 and str(tmp_path) not in whole["command"]
    with stopped_after(monkeypatch, 1):
        for _ in ("x0", "eps"):
            with pytest.raises(SystemExit, match="stopped after 1 of 2"):
                ended("part")
    again = ended("part")
    assert all(again[name]["2 steps"] == whole[name]["2 steps"] for name in ("x0", "eps"))


def test_measures_know_right_from_wrong():
    from talking_portrait.training.takin.measures import auc, best_lag, correlation, count_blinks

    track = np.sin(np.arange(100) / 3) + 0.1 * np.random.default_rng(0).standard_normal(100)
    assert correlation(track, 2 * track + 1) == pytest.approx(1) and correlation(track, np.zeros(100)) == 0
    assert best_lag(np.roll(track, 2), track) == 2 and best_lag(np.roll(track, -1), track) == -1
    assert (
        auc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1 and auc(np.array([1.0]), np.array([1.0])) == 0.5
    )
    lids = np.zeros(100)
    lids[[10, 11, 40, 41, 80]] = 0.9
    assert count_blinks(lids) == 3
