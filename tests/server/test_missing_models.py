"""With no model there: the page lists every file that a workflow needs, with its folder and a download where it may."""

import json
import shutil
from pathlib import Path

import pytest
from talking_portrait.models.weights.published import WEIGHTS
from talking_portrait.tools.comfy_server import PromptError
from talking_portrait.tools.graph_page import load_page
from talking_portrait.tools.workflow_drafts import DRAFTS, shipped
from talking_portrait.tools.workflow_drafts.core_models import CORE_MODELS

pytestmark = pytest.mark.slow

NEURAL = [slug for slug, draft in DRAFTS.items() if draft.needs]
LISTED = (".safetensors", ".ckpt", ".pt", ".pth")  # what the page takes for a model at all
MAY = "https://huggingface.co/"  # from where it offers the download
ROWS = """
() => {
  const list = document.querySelector('[data-testid="missing-model-importable-rows"]')?.parentElement;
  const found = {};
  for (const button of document.querySelectorAll('[data-testid="missing-model-locate"]')) {
    let row = button.parentElement;
    while (row.parentElement && !/\\.(safetensors|ckpt|pth?)/.test(row.innerText)) row = row.parentElement;
    const [name, folder] = row.innerText.split('\\n').map((text) => text.trim()).filter(Boolean);
    found[name] = { folder, download: Boolean(row.querySelector('[data-testid="missing-model-download"]')) };
  }
  return found;
}
"""


def move_files(source: Path, target: Path) -> None:
    """All files of a folder into the same places of another one; the folders stay."""
    for path in [path for path in source.rglob("*") if path.is_file()]:
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, place)


@pytest.fixture(scope="module")
def bare(server, page, tmp_path_factory):
    """The server and its page without a single model."""
    aside = tmp_path_factory.mktemp("aside")
    move_files(server.models, aside)
    load_page(page, server)
    yield server, page
    move_files(aside, server.models)


def named_models(graph: dict) -> dict[str, dict]:
    """What the workflow tells the page of files, by name, of nodes that are not muted or bypassed."""
    awake = [node for node in graph["nodes"] if node["mode"] == 0]
    return {model["name"]: model for node in awake for model in node["properties"].get("models", [])}


@pytest.mark.parametrize("slug", NEURAL)
def test_the_page_lists_every_file(bare, slug):
    _, page = bare
    graph = json.loads(shipped(slug).read_text())
    page.evaluate("async (g) => { await app.loadGraphData(g) }", graph)
    page.get_by_text("View details").click()
    page.wait_for_selector('[data-testid="missing-model-locate"]')
    shown, rows = page.evaluate("() => document.body.innerText"), page.evaluate(ROWS)
    models = named_models(graph)
    needed = {WEIGHTS[key].file for key in DRAFTS[slug].needs if key != "fantasytalking.wan"}
    assert needed <= set(models) and "Unknown" not in shown
    for name, model in models.items():
        if name.endswith(LISTED):  # the page takes nothing else for a model; the note has those links
            assert name in shown
            row = rows.get(name, {"folder": model["directory"], "download": model["url"].startswith(MAY)})
            assert row == {"folder": model["directory"], "download": model["url"].startswith(MAY)}, name
    assert len(rows) >= len([name for name in models if name.endswith(LISTED)]) - 1
    note = " ".join(str(node["widgets_values"]) for node in graph["nodes"] if node["type"] == "MarkdownNote")
    assert not [model["url"] for model in models.values() if model["url"] not in note]


def test_every_address_of_a_workflow_is_that_of_the_tables():
    tables = {weight.file: (weight.folder, weight.url) for weight in WEIGHTS.values()}
    tables |= {model.file: (model.folder, model.url) for model in CORE_MODELS.values()}
    for slug in DRAFTS:
        for node in json.loads(shipped(slug).read_text())["nodes"]:
            for model in node["properties"].get("models", []):
                assert tables[model["name"]] == (model["directory"], model["url"])
            if node["type"].startswith("TalkingPortrait"):
                assert node["properties"]["cnr_id"] == "talking-portrait" and node["properties"]["ver"]


@pytest.mark.parametrize("slug", NEURAL)
def test_nothing_is_computed_before_every_missing_file_is_told(bare, slug):
    server, before = bare[0], len(bare[0].get("/history"))
    with pytest.raises(PromptError) as told:
        server.run(server.to_prompt(json.loads(shipped(slug).read_text())))
    own = [WEIGHTS[key] for key in DRAFTS[slug].needs if WEIGHTS[key].url.startswith("https")]
    core = {model.file for model in CORE_MODELS.values()} | {"svd_xt_1_1.safetensors"}
    text = str(told.value)
    for weight in own:
        if weight.file not in core and not weight.file.startswith("Wan2.1"):
            assert weight.file in text, weight.file
    assert len(server.get("/history")) == before
