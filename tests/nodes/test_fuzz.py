"""Every input of every node gets every kind of wrong value: the answer is one clear sentence, never a wrong
result or a crash.

Made from the schemas, so a new node or input is covered when it is written. The neural nodes run with tiny networks.
"""

import asyncio
import math
import re
import time
from collections import Counter
from typing import Any

import pytest
import torch
from talking_portrait.nodes import TalkingPortraitExtension

from .bad_values import bad, odd

NODES = {
    node.define_schema().node_id: node for node in asyncio.run(TalkingPortraitExtension().get_node_list())
}
INTERNAL = re.compile(
    r"NoneType|subscriptable|has no attribute|unpack|Traceback|tensor\(|dtype=|size mismatch|unsupported "
    r"operand|<class|<function|"
    r"lambda|must be real number|cannot convert|invalid literal|out of bounds|object at 0x|not "
    r"iterable|positional argument|"
    r"unhashable|must match the size|Expected |KeyError|IndexError|ambiguous",
)
LONGEST = 20.0  # seconds of this process that an answer may take; other processes may share its cores
COSTLY = {
    ("TalkingPortraitACTalkerConditioning", "short_side"),
    ("TalkingPortraitLoadACTalker", "weight_dtype"),
    ("TalkingPortraitFantasyTalkingAudio", "frames"),  # 72 minutes at once: see test_fantasytalking.py
}
# a second and more each; the others, and the server's tests of bad input, are quick
HEAVY = {
    "ACTalkerConditioning", "ACTalkerAudio", "ACTalkerMotionFromVideo", "FantasyTalkingAudio",
    "FantasyTalkingIdentity", "Prepare", "PrepareFootage", "DubVideo", "DubVideoImages", "Stream", "RenderVideo",
    "FaceRegionMasks", "FaceFromBox", "EvaluateVideo", "CompareVideos",
}  # fmt: skip
SHORT = {name.removeprefix("TalkingPortrait"): node for name, node in NODES.items()}
TABLE: Counter[str] = Counter()


def answer(node: Any, given: dict[str, Any]) -> tuple[str, str]:
    """(ran, clear or internal, what was said); fails where it took too long."""
    started = time.process_time()
    try:
        with torch.inference_mode():
            result = node.execute(**given).result
        said = ("ran", "" if finite(result) else "its result has values that are no numbers")
    except ValueError as error:
        said = ("clear", str(error))
    except Exception as error:  # what the fuzz is for
        said = ("internal", f"{type(error).__name__}: {error}")
    assert time.process_time() - started < LONGEST
    return said


def finite(value: Any) -> bool:
    """Whether all numbers in a result are numbers."""
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point() or bool(torch.isfinite(value).all())
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    return all(map(finite, value)) if isinstance(value, (list, tuple)) else True


def problem(node: Any, name: str, kind: str, outcome: str, said: str, must_fail: bool) -> str | None:
    """What is wrong with an answer, or None."""
    schema = node.define_schema()
    if outcome == "internal":
        return f"internal: {said}"
    if outcome == "ran":
        return "taken without a word" if must_fail else said or None
    if not said.startswith(f"{schema.display_name}: "):
        return f"without the node's name: {said}"
    if said.count(f"{schema.display_name}: ") > 1 or INTERNAL.search(said):
        return f"internal words: {said}"
    if kind.startswith(tuple(option.key for option in choices(schema, name))):
        name = kind.split(", ")[-1].split(" with ")[-1].split()[0]  # an input of the menu's choice
    if must_fail and not re.search(rf"\b{re.escape(name)}\b", said):
        return f"without the input's name: {said}"
    longest = max(map(len, said.splitlines()))  # missing files are listed, a line each
    return None if longest < 900 and len(said) < 2500 else f"too long: {said[:200]}"


def choices(schema: Any, name: str) -> list:
    """The choices of a menu that have inputs of their own."""
    entry = next((entry for entry in schema.inputs if entry.id == name), None)
    return entry.options if entry is not None and entry.io_type == "COMFY_DYNAMICCOMBO_V3" else []


@pytest.mark.parametrize(
    "node",
    [
        pytest.param(node, id=name, marks=pytest.mark.slow if name in HEAVY else ())
        for name, node in SHORT.items()
    ],
)
def test_wrong_inputs_are_refused_in_words(bench, node):
    schema = node.define_schema()
    good = bench.inputs(node)
    found = []
    for entry in schema.inputs:
        makers = [(bad, True)] if (schema.node_id, entry.id) in COSTLY else [(bad, True), (odd, False)]
        for make, must_fail in makers:
            for kind, value in make(entry, good.get(entry.id)):
                outcome, said = answer(node, {**good, entry.id: value})
                TABLE[outcome] += 1
                if wrong := problem(node, entry.id, kind, outcome, said, must_fail):
                    found.append(f"{entry.id} = {kind}: {wrong}")
    assert not found, f"{len(found)} of them:\n" + "\n".join(found[:40])


@pytest.mark.parametrize("node", SHORT.values(), ids=SHORT)
def test_right_inputs_run_or_say_what_is_missing(bench, node):
    """So that a refusal above is of the wrong value and not of the others. LivePortrait's files are not here."""
    outcome, said = answer(node, bench.inputs(node))
    if node.define_schema().node_id in (
        "TalkingPortraitLivePortraitAnimation",
        "TalkingPortraitFaceMotionFromVideo",
    ):
        assert outcome == "clear" and "LivePortrait" in said
    elif node.define_schema().node_id == "TalkingPortraitKeypointExtractor":
        assert outcome == "clear" and "motion_extractor.safetensors" in said
    else:
        assert (outcome, said) == ("ran", "")


@pytest.mark.parametrize("node", SHORT.values(), ids=SHORT)
def test_missing_and_unknown_inputs_are_named(bench, node):
    schema, good = node.define_schema(), bench.inputs(node)
    for entry in schema.inputs:
        if entry.optional:
            continue
        outcome, said = answer(node, {name: value for name, value in good.items() if name != entry.id})
        assert problem(node, entry.id, "missing", outcome, said, must_fail=True) is None, said
    outcome, said = answer(node, {**good, "nonsense": 1})
    assert outcome == "clear" and "nonsense" in said


@pytest.mark.slow
def test_there_were_enough_of_them(request):
    """The table of the whole run; of a part of it nothing can be said."""
    if len(request.session.items) < 3 * len(NODES):
        pytest.skip("only a part of the fuzz was run")
    print(dict(TABLE))
    assert sum(TABLE.values()) > 2500 and TABLE["internal"] == 0
