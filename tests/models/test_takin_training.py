"""The tools that train Takin-ADA's tiny network: what it learns from, and that a killed run goes on without loss."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from talking_portrait.models.face_motion import CONTROLS, expression_to_controls
from talking_portrait.models.takin.config import EMOTIONS, EXPRESSION, TINY
from talking_portrait.models.takin.network import TakinNet, build_takin


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
    from talking_portrait.training.takin.batches import FACES, draw_batch, one_window, read_films

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
    from talking_portrait.training.takin.batches import read_films

    other = tmp_path / "other.safetensors"
    save_file(load_file(prepared), other, {"encoder": "hubert-large"})
    with pytest.raises(ValueError, match="different speech encoders: builtin-speech-test, hubert-large"):
        read_films([prepared, other])


def started(films, steps: int = 6):
    """A run of a small network, always from the same beginning."""
    from talking_portrait.training.takin.train import Training, prepare_for_training

    torch.manual_seed(3)
    config = replace(TINY, encoder=films.encoder, width=16, heads=2, speech_layers=1, motion_layers=1)
    network = TakinNet(config)
    prepare_for_training(network)
    return Training(network, 3, steps)


def test_a_run_that_stopped_goes_on_as_if_it_had_not(prepared, tmp_path):
    from talking_portrait.training.takin.batches import read_films

    films = read_films([prepared])
    whole = started(films)
    losses = [whole.advance(films) for _ in range(6)]
    first = started(films)
    early = [first.advance(films) for _ in range(3)]
    first.save(tmp_path / "resume.safetensors")
    torch.randn(17)
    second = started(films)
    second.resume(tmp_path / "resume.safetensors")
    assert second.step == 3
    assert early + [second.advance(films) for _ in range(3)] == losses
    for key, value in whole.average.items():
        assert torch.equal(value, second.average[key]), key


def test_the_loss_falls(prepared, monkeypatch):
    from talking_portrait.training.takin import train as takin_train
    from talking_portrait.training.takin.batches import read_films
    from talking_portrait.training.takin.train import motion_statistics, validation_loss

    monkeypatch.setattr(takin_train, "WARM_UP", 5)
    films = read_films([prepared])
    run = started(films, 40)
    mean, deviation = motion_statistics(films, run.network.config, np.random.default_rng(0), 4)
    run.network.motion_mean.copy_(mean)
    run.network.motion_deviation.copy_(deviation)
    run.average = {key: value.clone() for key, value in run.network.state_dict().items()}
    before = validation_loss(run, films)
    for _ in range(40):
        run.advance(films)
    assert validation_loss(run, films) < 0.85 * before


@pytest.mark.parametrize("spoil", ["truncated", "text", "another run", "other steps"])
def test_a_damaged_resume_file_is_refused_by_name(prepared, tmp_path, spoil):
    from talking_portrait.training.takin.batches import read_films

    films, path = read_films([prepared]), tmp_path / "run.resume.safetensors"
    run = started(films)
    run.save(path)
    if spoil == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif spoil == "text":
        path.write_text("404")
    elif spoil == "another run":
        save_file({"x": torch.zeros(1)}, path, {"other": "1"})
    else:
        run = started(films, 7)
    with pytest.raises(
        ValueError, match="run.resume.safetensors .*(cannot be read|other sizes or --steps 6)"
    ):
        run.resume(path)


def command(prepared: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "talking_portrait.training.takin.train", str(out), str(prepared), *options]


@pytest.mark.slow
def test_killed_politely_it_keeps_its_last_step_and_ends_with_a_network(prepared, tmp_path):
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
    failed = subprocess.run(command(prepared, out, "--steps", "100000"), capture_output=True, text=True)
    assert (
        failed.returncode == 2
        and "cannot be read" in failed.stderr
        and "delete it to start anew" in failed.stderr
    )


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
