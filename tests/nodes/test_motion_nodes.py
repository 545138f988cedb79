"""The motion nodes as an artist uses them: paths however they were copied, any two motions, no input that is
not read."""

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import folder_paths
import pytest
import torch
from talking_portrait.models.face_motion import FaceMotion
from talking_portrait.nodes.motion import BlendFaceMotion, HeadMotion, SaveFaceMotion
from talking_portrait.nodes.motion_files import LoadFaceMotion
from talking_portrait.nodes.paths import check_names

from ..models.motion_samples import change, driven

REGIONS = {"lips": True, "eyes": False, "rest_of_face": False, "head": False}
STILL = {"amount": 1.0, "smoothing": 0.0, "pitch": 0.0, "yaw": 0.0, "roll": 0.0}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch) -> Path:
    """ComfyUI's folders, and a file outside them."""
    for name in ("output", "input", "temp"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(folder_paths, f"{name}_directory", str(tmp_path / name))
    saved("outside", tmp_path)
    return tmp_path


def saved(prefix: str, folder: Path | None = None) -> Path:
    """A motion kept by the node, or put elsewhere."""
    path = Path(SaveFaceMotion.execute(change(3), prefix).result[0])
    return path if folder is None else path.rename(folder / path.name)


def loaded(text: str) -> FaceMotion:
    return LoadFaceMotion.execute(text).result[0]


def test_a_motion_of_a_video_is_saved_and_comes_back():
    motion = driven(9)
    path = SaveFaceMotion.execute(motion, "motion/mine").result[0]
    assert torch.equal(loaded(path).expression, motion.expression) and loaded(path).reference is not None


@pytest.mark.parametrize("written", [
    "motion/mine_00001_.safetensors", r"motion\mine_00001_.safetensors", '"motion/mine_00001_.safetensors"',
    "  motion/mine_00001_.safetensors \n", r' "motion\mine_00001_.safetensors"',
    "motion/../motion/mine_00001_.safetensors",
    "“motion/mine_00001_.safetensors”", "\u202amotion/mine_00001_.safetensors",
])  # fmt: skip
def test_a_path_is_read_however_it_was_copied(folders, written):
    saved("motion/mine")
    assert len(loaded(written)) == 3
    assert LoadFaceMotion.fingerprint_inputs(written)


def test_files_of_all_three_folders_are_read_by_name_and_by_path(folders):
    for place in ("input", "temp", "output"):
        path = saved("named", folders / place)
        assert len(loaded(path.name)) == 3 and len(loaded(f'"{path}"')) == 3
        path.unlink()


def test_a_back_slash_in_a_prefix_makes_a_folder(folders):
    assert saved(r' "motion\mine" ') == folders / "output" / "motion" / "mine_00001_.safetensors"
    assert saved("motion/mine").name == "mine_00002_.safetensors"


def test_a_file_with_a_back_slash_in_its_name_is_still_read(folders):
    path = saved("mine").rename(folders / "output" / r"motion\mine_00001_.safetensors")
    assert len(loaded(path.name)) == 3


def links(folders: Path) -> dict[str, str]:
    """Ways out of ComfyUI's folders, to a file that is there."""
    target = folders / "outside_00001_.safetensors"
    (folders / "output" / "link.safetensors").symlink_to(target)
    (folders / "output" / "way").symlink_to(folders)
    return {
        "a path": str(target), "two dots": f"../{target.name}", "a linked file": "link.safetensors",
        "a linked folder": f"way/{target.name}", "dots in a path": f"{folders}/output/../{target.name}",
        "quoted": f'"{target}"',
    }  # fmt: skip


def test_what_lies_outside_is_not_read_and_not_even_told_of(folders):
    ways, told, missing = links(folders), {}, {}
    for name, way in ways.items():
        with pytest.raises(
            ValueError, match="outside ComfyUI's output, input and temp folders. Put the file"
        ) as error:
            loaded(way)
        told[name] = str(error.value)
        assert LoadFaceMotion.fingerprint_inputs(way) == []
    (folders / "outside_00001_.safetensors").unlink()
    for name, way in ways.items():
        with pytest.raises(ValueError) as error:
            loaded(way)
        missing[name] = str(error.value)
    assert told == missing


@pytest.mark.parametrize(("written", "reason"), [
    ("", "file is empty"), ('""', "file is empty"),
        ("gone.safetensors", "no such file in ComfyUI's output, input and temp"),
    ("a" * 400, "no such file"), ("motion", "no such file"), ("a\x07b", "in no file's name"),
    ("\udc80", "in no file's name"),
])  # fmt: skip
def test_what_names_no_file_is_said(folders, written, reason):
    (folders / "output" / "motion").mkdir()
    with pytest.raises(ValueError, match=f"Load Face Motion: .*{reason}"):
        loaded(written)


@pytest.mark.parametrize("text", ["", "gone", "a" * 5000, "\0", "\udc80", "../..", None, 5])
def test_a_fingerprint_never_fails(text):
    assert LoadFaceMotion.fingerprint_inputs(text) == []


def test_a_ring_of_links_is_no_file(folders):
    (folders / "output" / "ring").symlink_to(folders / "output" / "ring")
    with pytest.raises(ValueError, match="Load Face Motion: file is 'ring'"):
        loaded("ring")


@pytest.mark.parametrize(("prefix", "reason"), [
    ("", "filename_prefix is empty"), ("../out", "outside ComfyUI's output folder"),
    ("/tmp/out", "outside ComfyUI's output"),
    ("motion/..", "names no file"), ("a" * 300, "has a name of 300 letters"),
    ("ü" * 150, "has a name of 150 letters"),
    ("a\x01", "in no file's name"),
])  # fmt: skip
def test_a_prefix_that_no_file_can_have_is_said(prefix, reason):
    with pytest.raises(ValueError, match=f"Save Face Motion: .*{reason}"):
        SaveFaceMotion.execute(change(3), prefix)


def test_nothing_is_written_through_a_link_that_leads_out(folders):
    (folders / "output" / "way").symlink_to(folders)
    with pytest.raises(ValueError, match="outside ComfyUI's output folder"):
        SaveFaceMotion.execute(change(3), "way/mine")
    assert not list(folders.glob("mine*"))


@pytest.mark.parametrize("prefix", ["a:b", "what?", "con", "motion/nul.txt", "name."])
def test_names_that_windows_does_not_take_are_said_there(prefix):
    check_names(prefix, "filename_prefix", windows=False)
    with pytest.raises(ValueError, match="which Windows does not take as a name"):
        check_names(prefix, "filename_prefix", windows=True)


def test_saved_files_are_seen_as_changed(folders):
    path = saved("motion/mine")
    before = LoadFaceMotion.fingerprint_inputs("motion/mine_00001_.safetensors")
    os.utime(path, (1, 1))
    assert LoadFaceMotion.fingerprint_inputs("motion/mine_00001_.safetensors") != before


@pytest.mark.parametrize(("first", "second"), [(driven(9), change(9)), (change(9), driven(9))])
def test_a_voice_and_a_driving_video_blend(first, second):
    mixed = BlendFaceMotion.execute(first, second, 1.0, **REGIONS).result[0]
    assert ("lips" in mixed.absolute) == ("lips" in second.absolute) and ("pose" in mixed.absolute) == (
        "pose" in first.absolute
    )


def test_lengths_that_differ_name_the_way_out():
    with pytest.raises(
        ValueError, match="motion_a has 9 frames at 25 per second, motion_b 8 frames .* lengths: fit motion_b"
    ):
        BlendFaceMotion.execute(change(9), change(8), 1.0, **REGIONS)
    slow = replace(change(8), fps=Fraction(24000, 1001))
    assert (
        len(BlendFaceMotion.execute(change(9), slow, 1.0, lengths="fit motion_b", **REGIONS).result[0]) == 9
    )


@pytest.mark.parametrize(("given", "reason"), [
    ({"mode": "follow"}, "mode is follow, but leader is not connected"),
    ({"mode": "hold", "leader": change(3)}, "leader is connected, but mode hold does not look at it"),
    ({"mode": "scale", "leader": change(3)}, "leader is connected, but mode scale"),
    ({"mode": "hold", "amount": 0.5}, "amount is 0.5, but mode hold has no amount"),
])  # fmt: skip
def test_what_a_mode_of_the_head_does_not_read_is_said(given, reason):
    with pytest.raises(ValueError, match=f"Head Motion: {reason}"):
        HeadMotion.execute(**{"face_motion": change(3), **STILL, **given})
