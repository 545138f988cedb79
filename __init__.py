"""Talking Portrait: ComfyUI nodes that turn one portrait and a voice into a talking video.

ComfyUI names a pack by the path of its folder. This file makes it the package `talking_portrait` beside that,
once, so that its parts, other packs, tests and tools all mean the same modules, whatever the folder is
called.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from os.path import samefile
from types import ModuleType

NAME = "talking_portrait"
WEB_DIRECTORY = "./web"


def package() -> ModuleType:
    """This folder as `talking_portrait`; ImportError if another folder is that already."""
    if NAME not in sys.modules:
        spec = spec_from_file_location(NAME, __file__)
        assert spec is not None and spec.loader is not None  # it is a file of Python
        sys.modules[NAME] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[NAME])
    if not samefile(found := str(sys.modules[NAME].__file__), __file__):
        raise ImportError(
            f"Talking Portrait is installed twice: {found} is in use. Remove that folder or the one of {__file__}."
        )
    return sys.modules[NAME]


async def comfy_entrypoint():
    """Give ComfyUI this pack's extension; the nodes are imported here so that tools can import the package
    without them."""
    from talking_portrait.nodes import (  # pyright: ignore[reportMissingImports] (so called as it runs)
        TalkingPortraitExtension,
    )

    return TalkingPortraitExtension()


if __name__ != NAME:
    sys.modules[__name__] = package()
