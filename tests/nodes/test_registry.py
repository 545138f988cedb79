"""The table of weights: complete, and what every message and table is made from."""

from pathlib import Path

import folder_paths
import pytest
from talking_portrait.models.contracts import ENGINES, Entry, MotionEngine, register_engine
from talking_portrait.models.options import Choice, Number
from talking_portrait.models.weights.published import WEIGHTS, markdown_table, saved_as
from talking_portrait.nodes.catalogue import engines  # noqa: F401 (it puts our own entries into the menu)
from talking_portrait.nodes.catalogue.menu import files_fingerprint, load_entry, put_first
from talking_portrait.nodes.catalogue.weight_files import find_weight, missing_weight_message

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("key", WEIGHTS)
def test_a_missing_file_is_named_with_folder_link_size_and_licence(key):
    weight = WEIGHTS[key]
    message = missing_weight_message(key, "Some Node")
    assert message.startswith("Some Node: ") and weight.file in message and weight.folder in message
    if not weight.in_pack:
        assert weight.url in message and weight.licence in message and weight.size in message


def test_what_ships_is_there():
    for weight in WEIGHTS.values():
        if weight.in_pack:
            size = (ROOT / weight.folder / weight.file).stat().st_size / 1e6
            assert abs(size - float(weight.size)) < 0.06, (
                f"{weight.file} has {size:.2f} MB, the table says {weight.size}"
            )


def test_every_address_is_the_file_or_says_where_it_leads():
    """The page offers the address as a download, so a front page without a word would be saved as a model."""
    for weight in WEIGHTS.values():
        if not weight.in_pack and not weight.direct:
            assert weight.note or weight.url.startswith("https://huggingface.co/"), weight.file
        assert " " not in weight.url or weight.in_pack, weight.file
        assert weight.megabytes > 0


def test_a_download_with_another_name_says_how_to_save_it():
    assert "save it as whisper-tiny.safetensors" in saved_as(WEIGHTS["actalker.whisper"])
    assert saved_as(WEIGHTS["liveportrait.motion"]) == saved_as(WEIGHTS["actalker.unet"]) == ""


def test_the_documents_show_this_table_once():
    """Every file with its folder, size and licence in one row of docs/WEIGHTS.md, to which the README leads."""
    shown = (ROOT / "docs" / "WEIGHTS.md").read_text(encoding="utf-8")
    assert markdown_table() in shown
    rows = [line for line in shown.splitlines() if line.startswith("|")][2:]
    assert len(rows) == len(WEIGHTS)
    for weight, row in zip(WEIGHTS.values(), rows, strict=True):
        assert all(fact in row for fact in (weight.file, weight.folder, weight.size, weight.licence)), row
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "](docs/WEIGHTS.md)" in readme and rows[0] not in readme


@pytest.mark.parametrize(("key", "variant", "place"), [
    ("liveportrait.motion", "", "motion_extractor.safetensors"),
    ("liveportrait.motion", "", "base_models/motion_extractor.pth"),
    ("liveportrait.stitching", "", "retargeting_models/stitching_retargeting_module.pth"),
    ("liveportrait.warping", "animal", "animal/warping_module.safetensors"),
    ("kdtalker.norm", "", "norm.npz"),
])  # fmt: skip
def test_both_editions_and_animals_are_found_where_they_lie(tmp_path, monkeypatch, key, variant, place):
    folder = WEIGHTS[key].folder
    monkeypatch.setitem(folder_paths.folder_names_and_paths, folder, ([str(tmp_path)], set()))
    with pytest.raises(ValueError, match=WEIGHTS[key].file):
        find_weight(key, "Node", variant)
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert find_weight(key, "Node", variant) == path


def test_all_missing_files_of_an_entry_are_told_at_once_and_a_file_in_its_place_is_noticed(
    tmp_path, monkeypatch
):
    folders = {"kdtalker": tmp_path / "kdtalker", "jaws": tmp_path / "jaws"}
    for name, folder in folders.items():
        folder.mkdir()
        monkeypatch.setitem(folder_paths.folder_names_and_paths, name, ([str(folder)], set()))
    loaded = []
    entry = Entry(
        "two files", "", loaded.append, files=("kdtalker.denoiser", "kdtalker.norm", ("jaws", "jaw.bin"))
    )
    with pytest.raises(ValueError) as error:
        load_entry(entry, object, {})
    said = str(error.value)
    assert said.startswith("two files needs 3 files that are missing.") and not loaded
    assert all(
        name in said
        for name in ("KDTalker.pth", "norm.npz", "jaw.bin was not found. Put it into ComfyUI/models/jaws/")
    )
    before = files_fingerprint(entry, {})
    for folder, file in (("kdtalker", "KDTalker.pth"), ("kdtalker", "norm.npz"), ("jaws", "jaw.bin")):
        (folders[folder] / file).touch()
    load_entry(entry, object, {})
    assert loaded and before == [] and len(files_fingerprint(entry, {})) == 3


def test_our_own_entries_stand_first_and_keep_their_names(caplog):
    early, other = Entry("built-in", "", print), Entry("puppet", "", print)
    menu = {early.id: early, other.id: other}
    own = [Entry("built-in", "ours", print), Entry("KDTalker", "", print)]
    put_first(menu, own, lambda entry: menu.setdefault(entry.id, entry))
    assert list(menu) == ["built-in", "KDTalker", "puppet"] and menu["built-in"].about == "ours"
    assert "another pack's built-in is left out" in caplog.text


@pytest.mark.parametrize(("make", "reason"), [
    (lambda: register_engine(Entry("built-in", "", print)), "already an entry called built-in"),
    (lambda: register_engine(Entry("", "", print)), "no entry of a menu"),
    (lambda: register_engine(Entry("new", "", print, ("steps",))), "no entry of a menu"),
    (lambda: Number(id="a.b", tooltip="", default=0, low=0, high=1), "an option is called 'a.b'"),
    (lambda: Number(id="a", tooltip="", default=2, low=0, high=1), "starts with 2, which is not from 0 to 1"),
    (lambda: Choice(id="a", tooltip="", choices=()), "has no choices"),
    (lambda: Choice(id="a", tooltip="", choices=("x",), default="y"), "starts with 'y', which is none"),
    (lambda: load_entry(Entry("half", "", lambda options: object()), MotionEngine, {}),
    "half gave a object without id"),
])  # fmt: skip
def test_a_registration_that_would_break_the_menu_is_refused(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()
    assert "new" not in ENGINES
