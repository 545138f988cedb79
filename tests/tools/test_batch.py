"""A batch without Ray: manifests, overrides, results, resume, retries."""

import io
import json
from pathlib import Path

import pytest
from talking_portrait.tools.batch.manifest import ManifestError, Row, read_manifest
from talking_portrait.tools.batch.progress import Progress
from talking_portrait.tools.batch.prompt import row_prompt, seeds, with_new_names
from talking_portrait.tools.batch.results import Results, part_path
from talking_portrait.tools.batch.runner import Lost, NoWorkers, left_to_do, run_rows
from talking_portrait.tools.batch.worker import Made, read_workflow

PROMPT = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}, "_meta": {"title": "Load Image"}},
    "2": {"class_type": "LoadAudio", "inputs": {"audio": "a.wav"}, "_meta": {"title": "Load Audio"}},
    "3": {
        "class_type": "Generate",
        "inputs": {"audio": ["2", 0], "seed": 7, "mode": "a", "engine.style": "calm"},
        "_meta": {"title": "Generate v1.0"},
    },
    "4": {"class_type": "Save", "inputs": {"filename_prefix": "video/x"}, "_meta": {"title": "Save"}},
    "5": {"class_type": "Save", "inputs": {"filename_prefix": "video/y"}, "_meta": {"title": "Save"}},
}
NODES = {"Generate": {"display_name": "Generate", "input": {"optional": {"fps": ["FLOAT"]}}}}


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def lines(*rows: dict) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def test_lines_and_tables_give_the_same_rows(tmp_path):
    asked = {"id": "Ä1", "image": "a.png", "audio": "b.wav", "Generate v1.0.seed": "5"}
    one = read_manifest(written(tmp_path, "m.jsonl", lines(asked) + "\n\n"), Path("w.json"))
    table = "id,image,audio,Generate v1.0.seed,video\nÄ1,a.png,b.wav,5,\n"
    two = read_manifest(written(tmp_path, "m.csv", "\ufeff" + table), Path("w.json"))
    assert one[0].files == two[0].files == {"image": tmp_path / "a.png", "audio": tmp_path / "b.wav"}
    assert one[0].overrides == two[0].overrides == {"Generate v1.0.seed": "5"}
    assert one[0].fingerprint("x") == two[0].fingerprint("x") != one[0].fingerprint("y")


def test_every_fault_of_a_manifest_is_told_at_once(tmp_path):
    text = lines(
        {"id": "a", "audio": "x.wav"}, {"id": "A"}, {"audio": "x.wav"}, {"id": "../b"}, {"id": "c", "imgae": "x"},
        {"id": "d", "audio": 3}, [1],
    )  # fmt: skip
    with pytest.raises(ManifestError) as told:
        read_manifest(written(tmp_path, "m.jsonl", text + "\n{"), Path("w.json"))
    said = str(told.value).splitlines()
    assert [line.split(":")[0] for line in said] == [f"line {n}" for n in range(2, 9)]
    assert "id 'A' is that of line 1 too" in said[0] and "it has no id" in said[1] and "'imgae'" in said[3]


@pytest.mark.parametrize("name", ["m.txt", "gone.jsonl"])
def test_what_is_no_manifest_is_refused(tmp_path, name):
    with pytest.raises(ManifestError, match=name):
        read_manifest(tmp_path / name, Path("w.json"))


def row(name: str = "a", folder: Path = Path("."), workflow: Path = Path("w.json"), **given) -> Row:
    return Row(name, workflow, folder, given.get("files", {}), given.get("overrides", {}), 1)


def test_overrides_reach_nodes_by_title_and_id_even_where_names_have_dots(tmp_path):
    voice = written(tmp_path, "v.wav", "x")
    overrides = {
        "Generate v1.0.seed": "5", "3.mode": "5", "3.fps": "24.5", "Generate v1.0.engine.style": "lively",
        "Load Image.image": "v.wav",
    }  # fmt: skip
    given = []
    asked = row(folder=tmp_path, files={"audio": voice}, overrides=overrides)
    prompt = row_prompt(asked, PROMPT, NODES, lambda path: given.append(path) or path.name)
    assert prompt["3"]["inputs"] == {
        "audio": ["2", 0], "seed": 5, "mode": "5", "engine.style": "lively", "fps": 24.5
    }  # fmt: skip
    assert prompt["1"]["inputs"]["image"] == prompt["2"]["inputs"]["audio"] == "v.wav"
    assert given == [voice, voice] and PROMPT["3"]["inputs"]["seed"] == 7 and seeds(prompt, NODES) == 5
    saved = with_new_names(prompt, "new")
    assert [saved[key]["inputs"]["filename_prefix"] for key in "45"] == ["new", "new"]


def test_every_fault_of_a_row_is_told_at_once(tmp_path):
    overrides = {"Save.filename_prefix": "x", "3.audio": "y", "3.sed": 1, "Nobody.seed": 1}
    asked = row(files={"audio": tmp_path / "gone.wav", "video": tmp_path / "v.mp4"}, overrides=overrides)
    with pytest.raises(ValueError) as told:
        row_prompt(asked, PROMPT, NODES, lambda path: path.name)
    said = str(told.value).splitlines()
    for line, sentence in zip(
        said,
        (
            "no such file",
            "no LoadVideo node",
            "2 nodes are called",
            "connected",
            "no input 'sed'",
            "no such node",
        ),
        strict=True,
    ):
        assert sentence in line


class PretendCrew:
    """Workers that follow a script: id -> what comes of each attempt."""

    def __init__(self, out: Path, script: dict, count: int = 2):
        self.out, self.script, self.there, self.busy = out, script, list(range(count)), []
        self.made: list[str] = []
        self.starting: dict[int, int] = {}  # worker -> rounds until it is back

    def ready(self):
        return [worker for worker in self.there if worker not in self.starting]

    def hopeless(self):
        return not self.there

    def begin(self, worker, row):
        assert worker not in [other for other, _ in self.busy], "a busy worker was given a row"
        assert worker not in self.starting, "a worker that is not back was given a row"
        self.busy.append((worker, row))

    def finished(self, seconds):
        self.starting = {worker: left - 1 for worker, left in self.starting.items() if left}
        if not self.busy:
            return []
        worker, row = self.busy.pop(0)
        what = self.script.get(row.id, ["done"])
        outcome = what.pop(0) if len(what) > 1 else what[0]
        if isinstance(outcome, Lost):
            if not outcome.back:
                self.there.remove(worker)
            else:
                self.starting[worker] = 3
            return [(worker, row, outcome)]
        digest = read_workflow(row.workflow)[1]
        if outcome != "done":
            return [(worker, row, Made(None, outcome, 1.0, 0, None, digest, str(worker)))]
        self.made.append(row.id)
        part = part_path(self.out, row.id, ".mp4")
        part.write_text(f"film of {row.id}")
        return [(worker, row, Made(part, "", 1.0, 25, 3, digest, str(worker)))]


@pytest.fixture
def rows(tmp_path) -> list[Row]:
    workflow = written(tmp_path, "w.json", "{}")
    return [row(f"c{k}", workflow=workflow, overrides={"1.x": k}) for k in range(6)]


def go(rows, out, script=None, retries=2, stop_after=10**9, count=2):
    """One call of the command; gives what its workers made, and the results as a fresh call would read them."""
    results = Results(out)
    crew, progress = PretendCrew(out, script or {}, count), Progress(len(rows), stream=io.StringIO())
    todo = left_to_do(rows, results)
    run_rows(todo, crew, results, retries, progress, lambda: progress.through >= stop_after)
    return crew.made, Results(out)


def test_a_finished_manifest_does_nothing_and_a_stopped_one_goes_on(rows, tmp_path):
    out = tmp_path / "out"
    first, _ = go(rows, out, stop_after=3)
    second, results = go(rows, out)
    assert len(first) == 3 and sorted(first + second) == [row.id for row in rows]
    assert left_to_do(rows, results) == [] and go(rows, out)[0] == []
    assert sorted(path.name for path in out.iterdir()) == [f"c{k}.mp4" for k in range(6)] + ["results.jsonl"]
    assert len((out / "results.jsonl").read_text().splitlines()) == 6


def test_a_bad_row_fails_alone_and_is_tried_again_by_a_second_call(rows, tmp_path):
    made, results = go(rows, tmp_path / "out", {"c2": ["Load Image: no picture"]})
    assert len(made) == 5 and results.latest["c2"].error == "Load Image: no picture"
    assert go(rows, tmp_path / "out")[0] == ["c2"]


def test_a_row_that_asks_for_something_else_is_made_again_and_one_whose_film_is_gone_too(rows, tmp_path):
    go(rows, tmp_path / "out")
    (tmp_path / "out/c1.mp4").unlink()
    changed = [row("c0", workflow=rows[0].workflow, overrides={"1.x": 99}), *rows[1:]]
    assert sorted(go(changed, tmp_path / "out")[0]) == ["c0", "c1"]
    rows[0].workflow.write_text("{ }")
    assert len(go(changed, tmp_path / "out")[0]) == 6


def test_a_row_whose_worker_dies_is_tried_as_often_as_it_may(rows, tmp_path):
    death = Lost("killed", back=True)
    script = {"c1": [death, death, "done"], "c3": [death]}
    made, results = go(rows, tmp_path / "out", script, retries=2)
    assert sorted(made) == ["c0", "c1", "c2", "c4", "c5"]
    assert results.latest["c1"].attempts == 3 and results.latest["c3"].attempts == 3
    assert "died 3 times" in results.latest["c3"].error and results.latest["c3"].state == "failed"


def test_a_worker_that_never_came_costs_no_try_and_the_others_do_its_work(rows, tmp_path):
    made, results = go(rows, tmp_path / "out", {"c0": [Lost("no ComfyUI", back=False), "done"]}, retries=0)
    assert sorted(made) == [row.id for row in rows] and results.latest["c0"].attempts == 1
    with pytest.raises(NoWorkers, match="6 rows"):
        go(rows, tmp_path / "other", {row.id: [Lost("no ComfyUI", back=False)] for row in rows})


def test_a_torn_line_and_a_half_film_are_taken_away_and_only_they(rows, tmp_path):
    out = tmp_path / "out"
    go(rows, out, stop_after=4)
    with (out / "results.jsonl").open("a") as file:
        file.write('{"id": "c5", "st')
    part_path(out, "c5", ".mp4").write_text("half")
    (out / ".keep").write_text("another's")
    made, results = go(rows, out)
    assert len(made) == 2 and len(results.latest) == 6
    assert (out / ".keep").is_file() and not part_path(out, "c5", ".mp4").exists()


def test_results_that_are_none_are_not_written_over(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    written(out, "results.jsonl", '{"my": "notes"}\n')
    with pytest.raises(ValueError, match="line 1"):
        Results(out)


def test_progress_tells_rate_and_rest():
    now = [0.0]
    progress = Progress(4, 10, io.StringIO(), lambda: now[0])
    assert progress.line() == "10 done, 0 failed, 4 left"
    for at, failed in ((60.0, False), (90.0, True), (120.0, False)):
        now[0] = at
        progress.count(failed)
    assert progress.line() == "12 done, 1 failed, 1 left; 2.0 clips a minute; about 0 min more"
