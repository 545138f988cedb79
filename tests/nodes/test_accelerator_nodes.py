"""Every node, with right inputs, on a second device as ComfyUI's: nothing is mixed, and what it gives is the CPU's."""

import asyncio
from fractions import Fraction
from typing import Any

import comfy.model_management
import pytest
import torch
from talking_portrait.nodes import TalkingPortraitExtension
from talking_portrait.tools.pretend_accelerator import accelerator, for_comfyui, plain

from .good_inputs import Bench

pytestmark = pytest.mark.slow

PICTURE, NUMBERS = 2 / 255, 2e-3  # the warp draws all of a picture there at once, and strips of it here

NODES = {
    node.define_schema().node_id.removeprefix("TalkingPortrait"): node
    for node in asyncio.run(TalkingPortraitExtension().get_node_list())
}


@pytest.fixture(scope="module")
def bench_there(bench: Bench) -> Bench:
    """Right inputs made for the second device."""
    return Bench(bench.models)


def outcome(node: Any, bench: Bench) -> Any:
    """What a node gives for its right inputs, or says."""
    try:
        return node.execute(**bench.inputs(node)).result
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("name", NODES)
def test_a_node_gives_the_same_there(bench, bench_there, name):
    torch.manual_seed(0)
    wanted = outcome(NODES[name], bench)
    comfy.model_management.unload_all_models()
    with for_comfyui(), accelerator():
        torch.manual_seed(0)
        found = outcome(NODES[name], bench_there)
        comfy.model_management.unload_all_models()
    compare(name, wanted, found)


def compare(place: str, wanted: Any, found: Any) -> None:
    """Numbers, words and shapes of results, as far as they are plain."""
    if isinstance(wanted, torch.Tensor):
        found = plain(found).float()
        assert found.shape == wanted.shape, place
        near = PICTURE if wanted.ndim == 4 else NUMBERS
        assert torch.allclose(found, wanted.float(), atol=near), (place, (found - wanted).abs().max())
    elif isinstance(wanted, (str, int, float, Fraction)):
        assert type(found) is type(wanted) and (
            isinstance(wanted, str) or found == pytest.approx(wanted, 1e-3)
        ), place
    elif isinstance(wanted, dict):
        for key, value in wanted.items():
            compare(f"{place}.{key}", value, found[key])
    elif isinstance(wanted, (list, tuple)):
        assert len(wanted) == len(found), place
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            compare(f"{place}[{number}]", one, other)
