"""`run.py demo` and `workflow`: what they print while they run, and what they call the film."""

import pytest
from talking_portrait.tools.comfy_server import parse_binary
from talking_portrait.tools.headless import collect, progress_printer

PROMPT = {"3": {"class_type": "TalkingPortraitPrepare", "_meta": {"title": "Prepare Portrait"}}}


def test_what_nodes_say_is_printed_once_by_their_name(capsys):
    show = progress_printer(PROMPT)
    for text in ("taken for a drawing", "taken for a drawing", "the head turns by 20 degrees"):
        show("progress_text", {"nodeId": "3", "text": text})
    show("progress_text", {"nodeId": "of another prompt", "text": "nothing"})
    assert capsys.readouterr().err.splitlines() == [
        "Prepare Portrait: taken for a drawing", "Prepare Portrait: the head turns by 20 degrees",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "made"), [("a.mp4", "a.mp4"), ("a.gif", "a.mp4"), ("folder", "folder/film.mp4")]
)
def test_a_film_is_called_what_it_is(tmp_path, capsys, asked, made):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"a film")
    (copy,) = collect([film], tmp_path / "out" / asked)
    assert copy == tmp_path / "out" / made and copy.read_bytes() == b"a film"
    assert ("would be no gif" in capsys.readouterr().err) == (asked == "a.gif")


def test_what_a_node_says_is_no_preview():
    said = (3).to_bytes(4, "big") + (2).to_bytes(4, "big") + b"12" + "186 frames, größer".encode()
    assert parse_binary(said) == ("progress_text", {"nodeId": "12", "text": "186 frames, größer"})
    picture = (1).to_bytes(4, "big") + b"a picture"
    assert parse_binary(picture) == ("preview", {"bytes": picture})
