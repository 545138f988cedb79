"""Help pages as artists meet them, in a strip of 300 pixels: lists and no tables, every input told, one picture each."""

import re

import numpy as np
import pytest
from PIL import Image

from .test_documents import HELP, ROOT, named, read, schemas

PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
MOST_BYTES, MOST_BYTES_IN_ALL = 40_000, 1_500_000


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
