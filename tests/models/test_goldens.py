"""Every network and every step between them against the official implementations' golden data."""

import json
import shutil
from pathlib import Path

import pytest
from talking_portrait.tools import goldens
from talking_portrait.tools.golden_cases import CASES

FOLDER = Path(__file__).resolve().parent.parent / "data" / "goldens"
FILES = sorted(FOLDER.rglob("*.golden.json"))


# of full-size networks, or of many steps; what they are made of has goldens of its own
SLOW = {
    "kd_pipeline", "kd_pipeline_relative", "kd_sampler", "lp_spade", "lp_warp", "jv_sampler", "jv_pipeline",
    "pipeline_tiny", "unet_tiny", "syncnet_evaluation", "syncnet_networks", "image", "motion_kdtalker",
    "kd_training_step",
}  # fmt: skip


def name_of(path: Path) -> str:
    return path.name.split(".")[0]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=name_of(path), marks=pytest.mark.slow if name_of(path) in SLOW else ())
        for path in FILES
    ],
)
def test_every_output_agrees(path):
    lines = list(goldens.evaluate(path))
    assert [line.output for line in lines] == list(goldens.GoldenCase(path).wanted())
    assert not [str(line) for line in lines if not line.passed]


def copied(tmp_path: Path, name: str) -> Path:
    """One golden of this folder, with its helpers, in a place of its own."""
    folder = tmp_path / "kdtalker"
    shutil.copytree(
        FOLDER / "kdtalker", folder, ignore=lambda _, names: [n for n in names if ".golden." in n]
    )
    shutil.copy(FOLDER / "fill.py", tmp_path)
    return Path(shutil.copy(FOLDER / "kdtalker" / f"{name}.public.golden.json", folder))


@pytest.mark.parametrize("samples", [31999, 5000])
def test_the_sound_of_a_golden_is_as_long_as_its_file_says(tmp_path, samples):
    """A wave that is no whole number of frames is cut to whole frames before its spectrogram, as speech is
    for the network."""
    path = copied(tmp_path, "kd_mel")
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"samples": samples}))
    case = goldens.GoldenCase(path)
    found = CASES["kd_mel"](case)
    frames = samples // 640
    assert (
        found["num_frames"] == frames
        and found["trimmed_samples"] == 640 * frames
        and len(found["wave"]) == samples
    )
    assert found["mel_80xT"].shape == (80, 1 + 640 * frames // 200) and found["windows_Tx80x16"].shape == (
        frames,
        80,
        16,
    )


@pytest.mark.parametrize("change", ["value", "shape", "salt", "output"])
def test_what_differs_is_a_failure(tmp_path, change):
    path = copied(tmp_path, "lp_stitch")
    data = json.loads(path.read_text())
    if change == "value":
        data["outputs"]["eye_delta"]["values"][5] += 0.001
    elif change == "shape":
        data["outputs"]["eye_delta"]["shape"] = [1, 42, 3]
    elif change == "salt":
        data["salt"] = "another"
    else:
        data["outputs"]["something_new"] = data["outputs"]["eye_delta"]
    path.write_text(json.dumps(data))
    failed = [line.output.split()[0] for line in goldens.evaluate(path) if not line.passed]
    expected = {"salt": list(data["outputs"]), "output": ["something_new"]}.get(change, ["eye_delta"])
    assert failed == expected


def test_a_golden_alone_finds_its_companions(tmp_path):
    path = Path(shutil.copy(FOLDER / "kdtalker" / "lp_stitch.public.golden.json", tmp_path))
    assert all(line.passed for line in goldens.evaluate(path))


def test_a_golden_that_nothing_answers_fails_for_a_finished_stage(tmp_path):
    path = copied(tmp_path, "lp_stitch")
    path = path.rename(path.with_name("lp_unknown.public.golden.json"))
    assert [line.passed for line in goldens.evaluate(path)] == [False]


def test_every_case_has_a_golden_here():
    assert {name_of(path) for path in FILES} == set(CASES) and SLOW < set(CASES)
