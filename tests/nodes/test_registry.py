"""The table of weights: complete, and what every message and table is made from."""

from pathlib import Path

import folder_paths
import pytest
from talking_portrait.models.published_weights import WEIGHTS, markdown_table, page_models
from talking_portrait.nodes.registry import find_weight, missing_weight_message

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
            assert abs(size - float(weight.size)) < 0.06, f"{weight.file} has {size:.2f} MB, the table says {weight.size}"


def test_the_page_offers_only_what_it_may_download():
    entries = page_models(list(WEIGHTS))
    assert entries and all(entry["url"].startswith("https://huggingface.co/") for entry in entries)
    assert all(entry["url"].endswith(entry["name"]) for entry in entries)


def test_the_readme_shows_this_table():
    assert markdown_table() in (ROOT / "README.md").read_text(encoding="utf-8")


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
