"""Help pages, which artists read in a strip of 300 pixels: lists and no tables, every input told, one picture each."""

import re

import numpy as np
import pytest
from PIL import Image

from .test_documents import HELP, named, read, schemas

PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
MOST_BYTES, MOST_BYTES_OF_ALL = 40_000, 1_500_000


def picture_of(path):
    """The words and the file of a page's only picture."""
    ((words, name),) = PICTURE.findall(read(path))
    return words, path.parent / name


@pytest.mark.parametrize("path", HELP, ids=named)
def test_a_help_page_has_its_node_s_name_and_lists_its_inputs(path):
    (schema,) = [schema for schema in schemas().values() if schema.node_id == path.stem]
    text = read(path)
    assert text.startswith(f"# {schema.display_name}\n")
    items = "\n".join(re.findall(r"(?m)^(?:-|\d+\.) .*$", text))
    listed = {name.strip() for names in re.findall(r"[*`]([\w, ]+)[*`]", items) for name in names.split(",")}
    if not schema.is_deprecated:  # its successor's page tells
        assert not {put.id for put in schema.inputs} - listed


@pytest.mark.parametrize("path", HELP, ids=named)
def test_a_help_page_has_no_table(path):
    assert not re.findall(r"(?m)^\s*\|.*$|^[\s|:-]*-\|[\s|:-]*$|<table", read(path))


@pytest.mark.parametrize("path", HELP, ids=named)
def test_a_help_page_shows_one_picture_before_all_words(path):
    words, file = picture_of(path)
    assert words and file.name == f"{path.stem}.jpg", (
        "the page looks for it beside itself, whatever the folder is called"
    )
    assert read(path).splitlines()[2].startswith("![")
    with Image.open(file) as picture:
        assert picture.format == "JPEG" and 200 <= picture.width <= 600
        colours = np.asarray(picture.convert("L"), float)
    assert colours.std() > 5, "one flat colour"
    assert file.stat().st_size < MOST_BYTES


def test_all_pictures_are_small_and_each_is_of_one_page():
    files = [picture_of(path)[1] for path in HELP]
    assert sorted(files) == sorted(HELP[0].parent.glob("*.[!m]*"))
    assert sum(file.stat().st_size for file in files) < MOST_BYTES_OF_ALL
    assert len({file.read_bytes() for file in files}) == len(files), "the same picture twice"
