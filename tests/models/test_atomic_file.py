"""A file is written whole or not at all."""

import os

import pytest
from talking_portrait.models import atomic_file as module
from talking_portrait.models.atomic_file import atomic_file


def written(path, text):
    with atomic_file(path) as hidden:
        hidden.write_text(text)


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new folder" / "film.mp4"
    with atomic_file(path) as hidden:
        hidden.write_text("half")
        assert not path.exists() and hidden.suffix == ".mp4" and hidden.name.startswith(".")
    assert path.read_text() == "half" and os.listdir(path.parent) == ["film.mp4"]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), ValueError("x"), KeyboardInterrupt(), GeneratorExit()]
)
def test_what_fails_leaves_nothing_and_keeps_the_older_file(tmp_path, error):
    path = tmp_path / "film.mp4"
    written(path, "older")
    with pytest.raises(type(error)), atomic_file(path) as hidden:
        hidden.write_text("half")
        raise error
    assert os.listdir(tmp_path) == ["film.mp4"] and path.read_text() == "older"


@pytest.mark.parametrize("step", ["flush_to_disk", "os.replace"])
def test_a_disk_that_fails_at_the_end_leaves_nothing(tmp_path, monkeypatch, step):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "film.mp4"
    written(path, "older")
    owner = module.os if step == "os.replace" else module
    with monkeypatch.context() as patch:
        patch.setattr(owner, step.removeprefix("os."), full)
        with pytest.raises(OSError, match="No space left"):
            written(path, "newer")
    assert os.listdir(tmp_path) == ["film.mp4"] and path.read_text() == "older"
    written(path, "newer")
    assert path.read_text() == "newer"
