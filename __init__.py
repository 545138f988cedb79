"""Talking Portrait: ComfyUI nodes that turn one portrait and a voice into a talking video."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """Give ComfyUI this pack's extension; the nodes are imported here so that tools can import the package without them."""
    from .nodes import TalkingPortraitExtension

    return TalkingPortraitExtension()
