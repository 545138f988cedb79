"""Load Face Motion's menu: what it lists, what it takes beside its list, and what is said before a run."""

import os
from pathlib import Path

import folder_paths
import pytest
from talking_portrait.models.face_motion.storage import save_any
from talking_portrait.nodes.motion import SaveFaceMotion
from talking_portrait.nodes.motion_files import LoadFaceMotion, motion_files

from ..models.motion_samples import change


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch) -> Path:
    """ComfyUI's folders, with nothing in them."""
    for name in ("output", "input", "temp"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(folder_paths, f"{name}_directory", str(tmp_path / name))
    return tmp_path


def kept(path: Path, frames: int = 3, when: int = 0) -> Path:
    """A motion in a file, written at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_any(change(frames), path)
    os.utime(path, (when, when))
    return path


def frames_of(**inputs) -> int:
    return len(LoadFaceMotion.execute(**inputs).result[0])


def test_it_lists_what_was_saved_the_newest_first_and_then_the_input_folder(folders):
    kept(folders / "output" / "motion" / "old_00001_.safetensors", when=1)
    kept(folders / "output" / "motion" / "film" / "new_00001_.pkl", when=2)
    kept(folders / "output" / "elsewhere" / "model.safetensors")
    kept(folders / "input" / "b.safetensors")
    kept(folders / "input" / "A.PKL")
    kept(folders / "input" / "motion" / "deep.safetensors")
    kept(folders / "input" / "other" / "deep.safetensors")
    (folders / "input" / "voice.wav").touch()
    listed = [
        "motion/film/new_00001_.pkl [output]", "motion/old_00001_.safetensors [output]",
        "A.PKL", "b.safetensors", "motion/deep.safetensors",
    ]  # fmt: skip
    assert motion_files() == listed
    assert LoadFaceMotion.define_schema().inputs[0].options == listed
    assert [frames_of(file=name) for name in listed] == [3] * 5
    assert all(LoadFaceMotion.validate_inputs(file=name) for name in listed)


def test_folders_that_are_not_there_are_empty(folders):
    (folders / "input").rmdir()
    assert motion_files() == []


def test_a_mark_says_which_of_two_files_of_one_name_is_meant(folders):
    kept(folders / "output" / "motion" / "same.safetensors", 5)
    kept(folders / "input" / "motion" / "same.safetensors", 7)
    assert frames_of(file="motion/same.safetensors [output]") == 5
    assert frames_of(file="motion/same.safetensors [input]") == 7
    assert frames_of(file=r' "motion\same.safetensors [input]" ') == 7
    with pytest.raises(ValueError, match="no such file"):
        frames_of(file="motion/same.safetensors [temp]")


@pytest.mark.parametrize("way", ["../outside.safetensors [input]", "{folder}/outside.safetensors [output]"])
def test_a_mark_leads_nowhere_else(folders, way):
    kept(folders / "outside.safetensors")
    with pytest.raises(ValueError, match="outside ComfyUI's output, input and temp folders"):
        frames_of(file=way.format(folder=folders))


def test_a_path_takes_the_menus_place_and_blanks_do_not(folders):
    kept(folders / "output" / "motion" / "menu.safetensors", 5)
    typed = kept(folders / "temp" / "typed.safetensors", 7)
    chosen = "motion/menu.safetensors [output]"
    assert frames_of(file=chosen, path=f' "{typed}" ') == 7 and frames_of(path="typed.safetensors") == 7
    assert frames_of(file=chosen, path="") == frames_of(file=chosen, path=' "" ') == 5
    first = LoadFaceMotion.fingerprint_inputs(file=chosen)
    assert first == LoadFaceMotion.fingerprint_inputs(file=chosen, path=" ")
    assert first != LoadFaceMotion.fingerprint_inputs(file=chosen, path=str(typed)) != []


@pytest.mark.parametrize(("given", "said"), [
    ({}, "file is empty: no motion is chosen. Save one .* drop a file onto the node"),
    ({"file": None, "path": ""}, "file is empty: no motion is chosen"),
    ({"file": "gone.pkl"}, "file is 'gone.pkl', but there is no such file"),
    ({"file": "gone.pkl", "path": "lost.pkl"}, "path is 'lost.pkl', but there is no such file"),
])  # fmt: skip
def test_a_file_that_is_not_there_is_told_before_anything_runs(given, said):
    with pytest.raises(ValueError, match=f"^Load Face Motion: {said}"):
        LoadFaceMotion.validate_inputs(**given)


def test_what_a_link_brings_is_looked_for_only_when_it_runs(folders):
    assert LoadFaceMotion.validate_inputs(input_types={"path": "STRING"}, file="gone.pkl")
    assert LoadFaceMotion.validate_inputs(input_types={"file": "STRING"})  # as before it was a menu
    with pytest.raises(ValueError, match="path takes STRING, but IMAGE is connected to it"):
        LoadFaceMotion.validate_inputs(input_types={"path": "IMAGE"})
    with pytest.raises(ValueError, match="file takes COMBO, but IMAGE is connected to it"):
        LoadFaceMotion.validate_inputs(input_types={"file": "IMAGE"})
    path = SaveFaceMotion.execute(change(4), "motion/mine").result[0]
    assert frames_of(path=path) == frames_of(file=path) == 4
