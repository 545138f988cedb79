"""Motions on disk: whole or not at all, equal after loading, and bounded before they are read."""

import os
import pickle
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from talking_portrait.models import atomic_file
from talking_portrait.models.face_motion import FaceFrame, FaceMotion
from talking_portrait.models.face_motion.frame_rate import parse_rate, rate_of
from talking_portrait.models.face_motion.storage import load_any, load_motion, save_any, save_motion

NUMBERS = torch.Generator().manual_seed(0)


def motion(frames: int = 4, fps: Fraction = Fraction(25), **facts: object) -> FaceMotion:
    """Absolute motion of random numbers about its own first frame."""
    tracks = [torch.randn(frames, *rest, generator=NUMBERS) / 100 for rest in ((21, 3), (3,), (3,))]
    made = FaceMotion.from_expression(*tracks, torch.ones(frames), fps, source={"producer": "test", **facts})
    return replace(made, reference=made.frame(0))


def same(a: FaceMotion, b: FaceMotion) -> bool:
    """Whether two motions are equal to the last bit."""
    names = ("expression", "pose", "translation", "scale", "controls", "valid")
    facts = (a.fps, a.absolute, a.source, a.reference is None) == (
        b.fps,
        b.absolute,
        b.source,
        b.reference is None,
    )
    return facts and all(torch.equal(getattr(a, name), getattr(b, name)) for name in names)


def shared_memory() -> FaceMotion:
    """A motion whose reference lies in the motion's own memory, as other packs may make it."""
    made = motion()
    for name in ("expression", "pose", "translation", "controls"):
        object.__setattr__(made.reference, name, getattr(made, name)[0])
    object.__setattr__(made, "scale", torch.ones(1).expand(4))
    return made


@pytest.mark.parametrize(
    "made",
    [
        motion(),
        motion(0 + 1),
        shared_memory(),
        motion(fps=Fraction(30000, 1001)),
        motion(fps=Fraction(2397.6 / 100)),
    ],
    ids=["reference", "one frame", "views", "NTSC", "a float's fraction"],
)
def test_a_motion_comes_back_as_it_was(tmp_path, made):
    save_motion(made, tmp_path / "m.safetensors")
    loaded = load_motion(tmp_path / "m.safetensors")
    assert same(loaded, made)
    assert (
        torch.equal(loaded.reference.expression, made.reference.expression)
        and loaded.reference.scale == made.reference.scale
    )


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full disk", "interrupt"]
)
@pytest.mark.parametrize("name", ["m.safetensors", "m.pkl"])
def test_a_write_that_fails_leaves_the_older_file_and_nothing_else(tmp_path, monkeypatch, name, error):
    path, older = tmp_path / name, motion()
    save_any(older, path)
    before = path.read_bytes()

    def half(self: Path, data: bytes) -> None:
        with open(self, "wb") as file:
            file.write(data[: len(data) // 2])
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(type(error)):
            save_any(motion(90), path)
    assert os.listdir(tmp_path) == [name] and path.read_bytes() == before
    save_any(motion(90), path)
    assert len(load_any(path)) == 90


def test_the_last_step_may_fail_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(atomic_file.os, "replace", refuse)
    with pytest.raises(PermissionError):
        save_motion(motion(), tmp_path / "m.safetensors")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "fps",
    [Fraction(1, 1001), Fraction(1001), Fraction(10**80, 10**80 - 1)],
    ids=["slow", "fast", "many digits"],
)
@pytest.mark.parametrize("name", ["m.safetensors", "m.pkl"])
def test_what_is_saved_can_be_loaded(tmp_path, fps, name):
    """A rate that loading refuses is refused before anything is written; a template rounds it."""
    try:
        save_any(motion(fps=fps), tmp_path / name)
    except ValueError as error:
        assert "frames per second" in str(error) and os.listdir(tmp_path) == []
    else:
        assert abs(load_any(tmp_path / name).fps - fps) < 1e-6


def test_facts_that_no_header_can_hold_are_refused(tmp_path):
    with pytest.raises(ValueError, match="source are not plain data"):
        save_motion(motion(note="x" * 2_000_000), tmp_path / "m.safetensors")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "rate", ["25", "30000/1001", "23.976", "0.001", "1000", "6748744713601679/281474976710656"]
)
def test_rates_that_cameras_have(rate):
    assert parse_rate(rate) == Fraction(rate)


@pytest.mark.parametrize("rate", [25, 29.97, np.float32(25), np.int64(60), np.array([25.0]), np.array(0.001)])
def test_rates_that_templates_have(rate):
    assert abs(rate_of(rate) - Fraction(float(np.asarray(rate).reshape(-1)[0]))) < 1e-3


@pytest.mark.parametrize(
    "rate",
    [
        "1e999999999",
        "1/0",
        "-1",
        "",
        "1e3",
        "9" * 5000,
        "0.0001",
        "1000.1",
        "inf",
        "\uff11",
        None,
        25,
        ["25"],
    ],
)
def test_texts_that_are_no_rate(rate):
    with pytest.raises(ValueError, match=r"its frames per second are .*; 0.001 to 1000 are possible\."):
        parse_rate(rate)


@pytest.mark.parametrize(
    "rate",
    [
        0,
        -1,
        1001,
        float("nan"),
        float("inf"),
        10**400,
        True,
        "25",
        None,
        [25],
        np.zeros(2),
        np.array(["25"]),
        1e-300,
    ],
)
def test_values_that_are_no_rate(rate):
    with pytest.raises(ValueError, match=r"its frames per second are .*; 0.001 to 1000 are possible\."):
        rate_of(rate)


def test_a_template_names_frame_and_value(tmp_path):
    frame = {
        "exp": np.zeros((1, 21, 3)),
        "R": np.eye(3)[None],
        "t": np.zeros((1, 3)),
        "scale": np.ones((1, 1)),
    }
    for change, words in {
        "text": ({"t": "here"}, "t of frame 1 is no array of numbers"),
        "NaN": ({"exp": np.full((21, 3), np.nan)}, "exp of frame 1 is not finite"),
        "huge": ({"t": np.full(3, 1e300)}, "t of frame 1 is not finite"),
        "shape": ({"R": np.eye(2)}, r"R of frame 1 has shape \(2, 2\); \(3, 3\) is needed"),
    }.values():
        path = tmp_path / "t.pkl"
        path.write_bytes(pickle.dumps({"motion": [frame, {**frame, **change}], "output_fps": 25}))
        with pytest.raises(ValueError, match=f"t.pkl: {words}"):
            load_any(path)


def test_a_reference_keeps_its_scale(tmp_path):
    made = replace(motion(), reference=FaceFrame(scale=1.25))
    save_motion(made, tmp_path / "m.safetensors")
    assert load_motion(tmp_path / "m.safetensors").reference.scale == 1.25
