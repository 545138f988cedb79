"""Draw the picture of every help page: web/docs/<node>.jpg.

    python3 run.py python -m talking_portrait.tools.make_help_pictures [NODE ...]

Nodes that work with nothing downloaded run in a real server, and their picture is what they did to the sample
portrait or voice. Of the others the real page draws the node among its neighbours in a shipped workflow.
"""

import os
import shutil
import sys
from pathlib import Path

from .comfy_server import PACK, ComfyServer
from .graph_page import choose_style, open_page
from .help_pictures import graph_scenes, motion_scenes, picture_scenes
from .help_pictures.drawing import save
from .help_pictures.stage import Stage
from .make_workflows import empty_models
from .workflow_drafts import DRAFTS

DOCS = PACK / "web" / "docs"
PREFIX = "TalkingPortrait"
SCENES = motion_scenes.SCENES | picture_scenes.SCENES
PROBE = Path(__file__).resolve().parent / "help_pictures" / "probe"


def main(names: list[str]) -> None:
    kinds = [path.stem.removeprefix(PREFIX) for path in sorted(DOCS.glob(f"{PREFIX}*.md"))]
    chosen = [kind for kind in kinds if not names or kind in names]
    models = empty_models(DRAFTS)
    with ComfyServer(Path(os.environ["COMFYUI_PATH"]), {"help_pictures": PROBE}, models=models) as server:
        stage = Stage(server)
        asked = {kind: SCENES[kind](stage) for kind in chosen if kind in SCENES}
        if asked:
            stage.run()
        for kind, draw in asked.items():
            save(draw(), DOCS / f"{PREFIX}{kind}.jpg")
            print(kind, flush=True)
        others = [kind for kind in chosen if kind not in SCENES]
        if others:
            with open_page(server) as page:
                choose_style(page, "classic")
                for kind in others:
                    save(graph_scenes.drawn(page, PREFIX + kind), DOCS / f"{PREFIX}{kind}.jpg")
                    print(kind, flush=True)
    shutil.rmtree(models, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
