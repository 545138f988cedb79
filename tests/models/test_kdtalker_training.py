"""KDTalker's training: films into what it learns from, the recipe's switches, and a killed run that goes on."""

import os
import signal
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.kdtalker.checkpoint import denoiser_state, learned_points
from talking_portrait.models.kdtalker.engine import KDTalkerEngine
from talking_portrait.models.kdtalker.motion import POSE, read_statistics
from talking_portrait.models.kdtalker.network import KDTalkerDenoiser, Sizes, build_denoiser, read_sizes
from talking_portrait.models.media.video_stream import VideoStreamWriter
from talking_portrait.training.data import face_track
from talking_portrait.training.data.clips import Clip, Clips, read_clips
from talking_portrait.training.kdtalker import prepare_films, train
from talking_portrait.training.kdtalker.objective import (
    disturbed,
    initialised,
    loss_of,
    recipe,
    with_condition_rows,
)
from talking_portrait.training.kdtalker.samples import (
    TRACKS,
    drawn,
    last_start,
    liveliest,
    sample,
    statistics,
)
from talking_portrait.training.liveportrait.stage1_proof import tiny_extractor

from .engine_samples import Extractor, somebody, wav2lip_encoder

TINY = Sizes(width=32, heads=2, layers=2, time=8)
published = train.sizes_for
COLUMNS = {"scale": 1, "yaw": 1, "pitch": 1, "roll": 1, "t": 3, "exp": 63, "kp": 63, "speech": 512}
PHOTO = Path(__file__).resolve().parents[2] / "samples" / "talking_portrait_astronaut.png"


def write_film(path: Path, frames: tuple[int, ...], seed: int) -> None:
    """A prepared film of random numbers, whose lips move more than the rest."""
    random = torch.Generator().manual_seed(seed)
    tracks = {name: 0.1 * torch.randn(sum(frames), size, generator=random) for name, size in COLUMNS.items()}
    tracks["exp"][:, 3 * 19 :] *= 4
    tracks["scale"] += 1.5
    save_file({**tracks, "frames": torch.tensor(frames)}, path, {"encoder": "wav2lip-test"})


@pytest.fixture
def films(tmp_path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    for number in range(4):
        write_film(folder / f"{number}.safetensors", (40, 30), number)
    return folder


def network(**sizes) -> KDTalkerDenoiser:
    return initialised(KDTalkerDenoiser(replace(TINY, **sizes)), 1)


def trained(films: Path, out: Path, monkeypatch, *options: str) -> None:
    """The command with a small network."""
    monkeypatch.setattr(train, "sizes_for", lambda *given: published(*given, TINY))
    words = [
        str(out),
        str(films),
        "--batch",
        "3",
        "--warm-up",
        "2",
        "--report",
        "2",
        "--window",
        "16",
        "--rate",
        "1e-3",
    ]
    monkeypatch.setattr(sys, "argv", ["train", *words, *options])
    train.main()


def test_a_killed_and_resumed_training_equals_an_uninterrupted_one_bit_by_bit(films, tmp_path, monkeypatch):
    trained(films, tmp_path / "whole", monkeypatch, "--steps", "9", "--average")
    counted = []

    def killing(*given):
        counted.append(1)
        if len(counted) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss_of(*given)

    with monkeypatch.context() as patched:
        patched.setattr(train, "loss_of", killing)
        trained(films, tmp_path / "parted", monkeypatch, "--steps", "9", "--average")
    assert len(counted) == 5, "the signal did not stop it"
    half = load_file(tmp_path / "parted" / "KDTalker.safetensors")
    torch.randn(31)
    trained(films, tmp_path / "parted", monkeypatch, "--steps", "9", "--average")
    files = [tmp_path / name / "KDTalker.safetensors" for name in ("whole", "parted")]
    whole, parted = map(load_file, files)
    assert whole.keys() == parted.keys() and all(torch.equal(whole[key], parted[key]) for key in whole)
    states = [load_file(path.with_suffix(".resume.safetensors")) for path in files]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0] | states[1])
    assert any(not torch.equal(states[0][f"network.{key}"], half[key]) for key in half)


def test_what_it_writes_speaks_as_an_engine(films, tmp_path, monkeypatch):
    trained(films, tmp_path / "out", monkeypatch, "--steps", "2", "--points", "15")
    path = tmp_path / "out" / "KDTalker.safetensors"
    with safe_open(str(path), "pt") as file:
        header = file.metadata()
    state = denoiser_state(load_file(path))
    made = build_denoiser(state, header)
    made.load_state_dict(state)
    found = replace(read_statistics(tmp_path / "out" / "norm.npz", "test"), points=learned_points(header))
    assert made.sizes == replace(TINY, window=16, motion=POSE + 45) and {19, 20} <= set(found.points)
    extractor = Extractor()
    engine = KDTalkerEngine(
        made.eval,
        wav2lip_encoder,
        lambda: extractor,
        found,
        2,
        window=made.sizes.window,
        points=made.sizes.points,
    )
    speech = Speech(
        torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32))[None], 16000
    )
    with torch.inference_mode():
        motion = engine.generate(speech, Fraction(25), 1, MotionSettings(), lambda *_: None, somebody())
    assert (
        len(motion) == 50 and torch.isfinite(motion.expression).all() and motion.expression[:, 19].std() > 0
    )
    still = [point for point in range(21) if point not in found.points]
    assert len(still) == 6 and motion.expression[:, still].std(0).max() < 1e-6, "what was not learned moves"


@pytest.mark.parametrize(("name", "change"), [
    ("reference", {"reference": False}), ("rotary", {"rotary": 0}), ("attention", {"attention": False}),
])  # fmt: skip
def test_every_part_that_can_be_left_out_is_read_back_and_matters(name, change):
    sizes, given = published(16, 21, [name], TINY), torch.Generator().manual_seed(0)
    assert sizes == replace(TINY, window=16, **change)
    made = initialised(KDTalkerDenoiser(sizes), 1)
    assert read_sizes(made.state_dict(), train.header(sizes, None)) == sizes
    noisy, reference, canonical, speech = (
        torch.randn(shape, generator=given) for shape in ((2, 16, 70), (2, 70), (2, 63), (2, 16, 512))
    )
    with torch.no_grad():
        out = made(noisy, 5, reference, canonical, speech)
        if name == "reference":
            assert torch.equal(out, made(noisy, 5, 0 * reference, canonical, speech))
        elif name == "attention":
            other = noisy.clone()
            other[:, 9:] = 0
            assert torch.equal(out[:, :9], made(other, 5, reference, canonical, speech)[:, :9]), (
                "frames see each other"
            )
        else:
            full = network(window=16)
            full.load_state_dict(made.state_dict(), strict=False)
            assert not torch.allclose(out, full(noisy, 5, reference, canonical, speech))
    if name != "reference":  # a file that lacks parts and does not say so is damaged
        with pytest.raises(RuntimeError, match="Missing key"):
            build_denoiser(made.state_dict(), {}).load_state_dict(made.state_dict())


def test_the_sound_is_disturbed_by_its_own_mean_and_deviation_with_the_silent_rows():
    speech = torch.rand(3, 10, 512) + 1
    heard = with_condition_rows(speech, 2)
    assert heard.shape == (3, 12, 512) and not heard[:, :2].any() and torch.equal(heard[:, 2:], speech)
    noise = torch.randn_like(heard)
    noisy = disturbed(heard, noise)
    assert noisy[:, :2].mean() > 0.5 and torch.allclose(
        noisy - heard, heard.mean() + heard.std() * noise, atol=1e-5
    )
    rules = recipe()
    assert (
        rules.rate == pytest.approx(5.12e-4) and rules.rate_at(0) == 0 and rules.rate_at(2000) == rules.rate
    )


def test_a_share_of_the_batches_is_disturbed(monkeypatch):
    from talking_portrait.training.kdtalker import objective

    made, seen = network(window=4), []
    given = {"motion": torch.randn(2, 4, 70), "reference": torch.randn(2, 70), "canonical": torch.randn(2, 63),
             "speech": torch.randn(2, 4, 512)}  # fmt: skip
    monkeypatch.setattr(objective, "disturbed", lambda speech, noise: seen.append(1) or speech)
    torch.manual_seed(0)
    for _ in range(60):
        loss_of(made, given)
    assert 32 <= len(seen) <= 52
    assert {name for name in loss_of(made, given)} == {"loss", "pose", "expression"}


def test_a_sample_never_leaves_its_stretch_and_starts_everywhere(films):
    clips = read_clips(films, "it", TRACKS, TRACKS)
    found = statistics(clips)
    whole = load_file(films / "0.safetensors")
    second = clips[1]
    one = sample(second, found, last_start(second, 16), 16)
    start = 40 + last_start(second, 16) + 1
    assert torch.equal(one["speech"], whole["speech"][start : start + 16]) and one["speech"].shape == (
        16,
        512,
    )
    mean, deviation = found.values["scale_mean"], found.values["scale_std"]
    assert torch.allclose(one["motion"][:, 0], (whole["scale"][start : start + 16, 0] - mean) / deviation)
    with pytest.raises(ValueError, match="28 usable frames, but a window takes 65"):
        last_start(second, 64)
    random = np.random.default_rng(0)
    starts = {float(drawn([second], found, 16, random)["reference"][0, 0]) for _ in range(200)}
    assert len(starts) == 30 - 2 - 17 + 1
    assert set(liveliest(found, 2)) == {19, 20} and liveliest(found, 21) is None
    still = Clips([Clip("a", 30, tracks={name: torch.ones(30, size) for name, size in COLUMNS.items()})])
    assert statistics(still).values["t_std"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(("options", "reason"), [
    (["--steps", "2", "--batch", "99"], "a batch of 99 clips is more than the 8"),
    (["--steps", "2", "--window", "50"], "usable frames, but a window takes 51"),
    (["--steps", "2", "--window", "65"], "--window is 65; it can be 8 to 64"),
])  # fmt: skip
def test_what_cannot_be_trained_is_refused_in_words(films, tmp_path, monkeypatch, capsys, options, reason):
    with pytest.raises(SystemExit):
        trained(films, tmp_path / "out", monkeypatch, *options)
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("crop", ["kdtalker", "none"])
def test_films_become_motion_and_sound(tmp_path, monkeypatch, crop):
    monkeypatch.setattr(face_track, "SHORTEST", 10)
    monkeypatch.setattr(prepare_films, "SHORTEST", 10)
    save_file(tiny_extractor(0).state_dict(), tmp_path / "extractor.safetensors")
    torch.save({"state_dict": wav2lip_encoder().state_dict()}, tmp_path / "wav2lip.pth")
    (tmp_path / "films").mkdir()
    picture = torch.from_numpy(np.array(Image.open(PHOTO).convert("RGB").resize((256, 256)))).float() / 255
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 8960).astype(np.float32))
    with VideoStreamWriter(tmp_path / "films" / "a.mp4", Fraction(25), noise[None], 16000) as writer:
        for number in range(14):
            writer.write((picture * (1 - number / 100))[None])
    words = [
        "--extractor",
        str(tmp_path / "extractor.safetensors"),
        "--encoder",
        str(tmp_path / "wav2lip.pth"),
    ]
    places = [str(tmp_path / "films"), str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["prepare_films", *places, *words, "--crop", crop])
    prepare_films.main()
    (clip,) = read_clips(tmp_path / "out", "it", TRACKS)
    assert clip.frames == 14 and clip.rows("speech").shape == (14, 512) and clip.rows("exp").std() > 0
    assert clip.rows("kp").abs().max() > 0 and clip.header["crop"] == crop
