"""Documents that are made from data say what the data say."""

import pytest
from talking_portrait.tools.make_documents import DOCS, DOCUMENTS


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_as_its_data(name):
    made = (DOCS / name).read_text(encoding="utf-8")
    assert made == DOCUMENTS[name](), (
        f"docs/{name} is stale: python3 run.py python -m talking_portrait.tools.make_documents"
    )
