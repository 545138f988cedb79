"""A pack that a batch's server alone loads: it checks prompts without running them, and ends the server with its owner.

ComfyUI loads this file by itself; it knows nothing of the rest.
"""

import os
import shutil
import threading
import time
from pathlib import Path

OWNER = "TALKING_PORTRAIT_BATCH_OWNER"  # environment variable: the process that this server belongs to
VALIDATE = "/talking_portrait_batch/validate"
NODE_CLASS_MAPPINGS: dict[str, type] = {}
LOOK_SECONDS = 0.5


async def validate(request):
    """Answer a prompt as POST /prompt would refuse it, or {} if it would run."""
    import execution
    from aiohttp import web

    prompt = (await request.json())["prompt"]
    valid, error, _, node_errors = await execution.validate_prompt("batch", prompt, None)
    if valid and not node_errors:
        return web.json_response({})
    return web.json_response({"error": error, "node_errors": node_errors}, status=400)


def end_with_owner(owner: int, base: Path) -> None:
    """End this server when its owner is gone, and remove its scratch folder: a killed worker cannot."""
    while os.getppid() == owner:
        time.sleep(LOOK_SECONDS)
    if base.name.startswith("talking-portrait-"):  # as ComfyServer calls it
        shutil.rmtree(base, ignore_errors=True)
    os._exit(1)


def start() -> None:
    """Add the route and start to watch, where this is a batch's server."""
    from comfy.cli_args import args
    from server import PromptServer

    PromptServer.instance.routes.post(VALIDATE)(validate)
    if os.name != "nt":  # Windows tells no process that its parent ended
        watch = (int(os.environ[OWNER]), Path(args.base_directory))
        threading.Thread(target=end_with_owner, args=watch, daemon=True).start()


if not __package__ or not __package__.startswith(
    "talking_portrait."
):  # not when the worker reads the names above
    start()
