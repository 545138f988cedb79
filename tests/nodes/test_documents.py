"""Documents that are made from data say what the data say; those written by hand name only what is there."""

import asyncio
import importlib.util
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
import yaml
from talking_portrait.nodes import TalkingPortraitExtension
from talking_portrait.tools.make_documents import DOCS, DOCUMENTS

ROOT = Path(__file__).resolve().parent.parent.parent
HELP = sorted((ROOT / "web" / "docs").glob("*.md"))
WRITTEN = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(path for path in sorted(DOCS.glob("*.md")) if path.name not in DOCUMENTS),
]
VERBS = {"demo", "test", "workflow", "batch", "live", "check", "evaluate", "python"}
PLACES = (
    "models",
    "nodes",
    "tools",
    "training",
    "tests",
    "benchmarks",
    "docs",
    "workflows",
    "samples",
    "web",
)
ARTISTS_FOLDERS = re.compile(  # of ComfyUI, for weights; no folders of this repository
    r"models/(liveportrait|kdtalker|joyvasa|takin|actalker|audio_encoders|measures|model_patches|diffusion_models|checkpoints)/"
)
LEFT_OUT = [line for line in (ROOT / ".comfyignore").read_text().split() if not line.startswith(".")]
CORE = {  # nodes of ComfyUI that the documents send to
    "BasicScheduler", "CLIP Vision Encode", "Create Video", "Detect Face Landmarks",
    "Detect Face Landmarks (MediaPipe)", "Draw Face Mask", "DualCFGGuider", "Encode Audio",
    "Get Image from Batch", "Get Video Components", "Join Image with Alpha", "KSamplerSelect", "Load Audio",
    "Load Image", "Load Video", "ModelSave", "Preview as Text", "Run Frame Interpolation Model", "SamplerCustom",
    "SamplerCustomAdvanced", "Save Video", "Visualize Face Landmarks", "WanImageToVideo",
}  # fmt: skip
CHOICES = {"KDTalker", "LivePortrait", "LivePortrait template"} | {
    "Subgraph Blueprints",
    "Talking Portrait",
    "Emotion over Time",
    "LivePortrait from Video",
}  # of menus


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def schemas() -> dict:
    """Every node's schema by the name that artists see."""
    with ThreadPoolExecutor(1) as elsewhere:  # a page of an earlier test may keep this thread's loop running
        nodes = elsewhere.submit(asyncio.run, TalkingPortraitExtension().get_node_list()).result()
    return {schema.display_name: schema for schema in (node.define_schema() for node in nodes)}


def commands(text: str) -> list[str]:
    """What a document tells to run with run.py, whole: a line of a block, or a piece within a line."""
    joined = text.replace("\\\n", " ")
    blocks = [line for block in re.findall(r"```\w*\n(.*?)```", joined, re.S) for line in block.splitlines()]
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", joined, flags=re.S))
    told = (piece.partition("#")[0].strip() for piece in (*blocks, *inline))
    return [piece[piece.index("run.py ") :] for piece in told if re.search(r"python3 run\.py ", piece)]


def paths(text: str) -> list[str]:
    """The files and folders of this repository that a text names in code."""
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    words = [word for span in spans for word in re.split(r"[\s,:]+", span)]
    return [word for word in words if word.split("/")[0] in PLACES and "/" in word]


def missing(word: str) -> bool:
    return not (any(ROOT.glob(word.rstrip("/"))) or ARTISTS_FOLDERS.match(word))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_as_its_data(name):
    made = (DOCS / name).read_text(encoding="utf-8")
    assert made == DOCUMENTS[name](), (
        f"docs/{name} is stale: python3 run.py python -m talking_portrait.tools.make_documents"
    )


def test_the_readme_is_short_and_leads_to_every_document():
    text = read(ROOT / "README.md")
    assert len(text.splitlines()) <= 100
    reached = set(re.findall(r"\]\(([\w/.]+\.md)\)", text))
    assert {named(path) for path in WRITTEN if path.name != "README.md"} <= reached


@pytest.mark.parametrize("path", WRITTEN, ids=named)
def test_every_link_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", read(path)):
        place, _, anchor = target.partition("#")
        if place.startswith("http"):
            continue
        aim = path.parent / place if place else path
        assert aim.exists(), target
        titles = re.findall(r"(?m)^#+ (.+)$", read(aim)) if anchor else []
        assert not anchor or anchor in {
            re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles
        }, target


@pytest.mark.parametrize("path", WRITTEN, ids=named)
def test_every_file_that_is_named_exists(path):
    old = {"tools/train_speech_net.py", "tools/train_speech_presence.py", "tools/takin_train.py",
        "tools/takin_prepare.py", "tools/takin_evaluate.py", "tools/stage1_proof.py"}  # fmt: skip
    told = set(paths(read(path))) - (old if path.name == "TRAINING.md" else set())
    assert not [word for word in told if missing(word)]


def test_a_file_that_is_not_there_would_be_seen():
    assert [word for word in paths("see `models/gone.py`, `models/kdtalker/`") if missing(word)] == [
        "models/gone.py"
    ]


@pytest.mark.parametrize("path", WRITTEN, ids=named)
def test_every_command_starts_what_there_is(path):
    """Its verb, its module with a main part, and every option in that module's source."""
    for command in commands(read(path)):
        verb, *rest = command.split()[1:]
        assert verb in VERBS or verb.isupper(), command
        source = read(ROOT / "run.py")
        if verb == "python" and rest[:1] == ["-m"]:
            spec = importlib.util.find_spec(rest[1])
            assert spec is not None and spec.origin, command
            source = read(Path(spec.origin))
            assert '__name__ == "__main__"' in source, command
        if (own := ROOT / "tools" / verb / "__main__.py").is_file():
            source += read(own)
        for option in re.findall(r"--[a-z][\w-]*", command):
            assert f'"{option}"' in source, f"{option} of {command}"


def test_commands_are_found():
    found = commands("`python3 run.py test`\n```\npython3 run.py python -m a.b \\\n  X --seed 1  # why\n```")
    assert [one.split() for one in found] == [
        ["run.py", "python", "-m", "a.b", "X", "--seed", "1"],
        ["run.py", "test"],
    ]
    assert len(commands(read(ROOT / "docs" / "TRAINING.md"))) > 10


@pytest.mark.parametrize("path", [*WRITTEN, *HELP], ids=named)
def test_every_node_that_is_named_exists(path):
    text = re.sub(r"```.*?```|\*\*.*?\*\*", "", read(path), flags=re.S)
    told = {" ".join(name.split()) for name in re.findall(r"(?<![\w*])\*([A-Z][^*|]+)\*(?![\w*])", text)}
    assert not told - set(schemas()) - CORE - CHOICES


def test_the_artists_document_lists_every_node_and_every_workflow():
    text = read(DOCS / "USING.md")
    rows = text.partition("\n## The nodes\n")[2].partition("\nSockets")[0]
    listed = re.split(
        r"[,;]\s+|\s*\|\s*", " | ".join(row.split(" | ", 1)[1] for row in rows.splitlines() if " | " in row)
    )
    assert set(schemas()) <= set(listed)
    table = text.partition("\n## Which workflow\n")[2].partition("\n## ")[0]
    drawn = {path.stem for path in (ROOT / "workflows").glob("*.json")}
    assert {row.split("`")[1] for row in table.splitlines() if row.startswith("| `")} == drawn
    sockets = set(re.findall(r"`([A-Z_]+)`", text.partition("\nSockets")[2].partition("All others")[0]))
    own = {socket.io_type for schema in schemas().values() for socket in schema.outputs}
    assert sockets <= own and {"FACE_MOTION", "KEYPOINT_EXTRACTOR", "MOTION_SAMPLER"} <= sockets


def test_the_number_of_workflows_is_that_of_the_readme():
    assert len(list((ROOT / "workflows").glob("*.json"))) == 29 and "twenty-nine workflows" in read(
        ROOT / "README.md"
    )


def test_the_version_is_one_everywhere():
    (version,) = re.findall(r'(?m)^version = "(.+)"$', read(ROOT / "pyproject.toml"))
    assert re.findall(r"(?m)^## (\S+)$", read(ROOT / "CHANGELOG.md"))[0] == version
    assert f"placeholder: {version}\n" in read(ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml")


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=named)
def test_an_issue_form_asks_each_thing_once(path):
    form = yaml.safe_load(read(path))
    assert form["name"] and form["description"]
    asked = [part for part in form["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in asked}) == len(asked) and all(
        part["attributes"]["label"] for part in asked
    )


def test_artists_are_sent_to_no_file_that_they_do_not_get():
    """Help pages, descriptions and tooltips name no program or data that the registry leaves out."""
    texts = {named(path): read(path) for path in HELP}
    for name, schema in schemas().items():
        told = [schema.description, *(put.tooltip for put in (*schema.inputs, *schema.outputs))]
        for menu in schema.inputs:
            told += [
                put.tooltip
                for option in getattr(menu, "options", None) or ()
                for put in getattr(option, "inputs", ())
            ]
        texts[name] = " ".join(text or "" for text in told)
    assert {"tests/", "benchmarks/"} <= set(LEFT_OUT) and not {"tools/", "run.py", "training/"} & set(
        LEFT_OUT
    )
    for name, text in texts.items():
        assert not [word for word in LEFT_OUT if re.search(rf"(?<![\w/]){re.escape(word)}", text)], name
        assert not [word for word in paths(text) if missing(word)], name
