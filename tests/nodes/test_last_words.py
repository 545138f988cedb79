"""The line under a node never tells of an earlier run: it ends with why the node failed, or that it was stopped."""

from fractions import Fraction

import pytest
import torch
from comfy.model_management import InterruptProcessingException
from comfy_api.latest import io
from talking_portrait.models.face_motion import CONTROLS, FaceMotion
from talking_portrait.nodes.gates import Node
from talking_portrait.nodes.portrait import PreparePortrait
from talking_portrait.nodes.rendering import RenderPortraitVideo, mouth_notes
from talking_portrait.nodes.stream import StreamTalkingPortrait

SAID: list[str] = []


class Fails(Node):
    line = staticmethod(SAID.append)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(node_id="Fails", display_name="Fails", inputs=[io.Boolean.Input("stopped")])

    @classmethod
    def execute(cls, stopped: bool) -> io.NodeOutput:
        raise InterruptProcessingException if stopped else ValueError("image holds no face.")


@pytest.mark.parametrize(
    ("stopped", "error", "said"),
    [(False, ValueError, "Fails: image holds no face."), (True, InterruptProcessingException, "stopped")],
)
def test_a_node_says_why_it_ended(stopped, error, said):
    SAID.clear()
    with pytest.raises(error):
        Fails.execute(stopped=stopped)
    assert SAID == [said]


def test_nodes_with_a_line_say_it():
    assert all(node.line for node in (PreparePortrait, RenderPortraitVideo, StreamTalkingPortrait))


@pytest.mark.parametrize(("jaw", "notes"), [(0.0, 1), (0.4, 0)])
def test_a_film_in_which_nobody_speaks_says_so(jaw, notes):
    controls = torch.zeros(5, len(CONTROLS))
    controls[2, CONTROLS.index("jawOpen")] = jaw
    none = torch.zeros(5, 3)
    motion = FaceMotion.from_controls(controls, none, none, torch.ones(5), Fraction(25), source={})
    assert len(mouth_notes(motion)) == notes
