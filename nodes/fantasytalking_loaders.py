"""FantasyTalking's own weights."""

import comfy.ops
from comfy_api.latest import io

from ..models.fantasytalking.checkpoint import fantasytalking_state
from ..models.fantasytalking.network import build_fantasytalking
from . import sockets
from .catalogue.file_menu import file_menu
from .catalogue.files_node import NodeWithFiles
from .catalogue.loading import Builder, load_shared

CATEGORY = "talking portrait/fantasytalking"
LOAD = "Load FantasyTalking"


class LoadFantasyTalking(NodeWithFiles):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLoadFantasyTalking",
            display_name=LOAD,
            category=CATEGORY,
            description="Loads FantasyTalking's audio weights for Wan2.1-I2V-14B.",
            search_aliases=["wan talking", "audio adapter", "model patch"],
            inputs=[
                file_menu(
                    "file",
                    "fantasytalking.audio",
                    tooltip="The .ckpt, or a safetensors edition (fp32 or fp16).",
                )
            ],
            outputs=[
                sockets.FantasyTalking.Output(tooltip="For FantasyTalking Audio and Apply FantasyTalking.")
            ],
        )

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        path = cls.file("file", file)
        build = casting(build_fantasytalking)
        return io.NodeOutput(
            load_shared("fantasytalking", path, None, build, LOAD, fantasytalking_state, exact=True)
        )


def casting(build: Builder) -> Builder:
    """A builder of networks whose weights follow the type of what they are given, whatever they are kept in."""
    return lambda state, metadata, device=None, dtype=None, operations=None: build(
        state, metadata, device, dtype, comfy.ops.manual_cast
    )
