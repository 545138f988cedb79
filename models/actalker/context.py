"""ACTalker's sliding windows as a context handler of ComfyUI."""

import comfy.context_windows as core

from .sampling import OVERLAP, SHIFT, WINDOW, windows


class ShiftedWindows(core.IndexListContextHandler):
    """Windows over the frames that move by `shift` each step and wrap around the end; where they overlap, the mean.

    All windows of a step read the latents of its beginning. ValueError if the overlap leaves no way forward.
    """

    def __init__(self, length: int = WINDOW, overlap: int = OVERLAP, shift: int = SHIFT):
        next(windows(length, 0, length, overlap, shift))  # says so at once if the overlap is too long
        super().__init__(
            core.ContextSchedule("actalker_shifted", self._indices),
            core.get_matching_fuse_method(core.ContextFuseMethods.FLAT),
            context_length=length, context_overlap=overlap, dim=0, causal_window_fix=False,
        )  # fmt: skip
        self.shift = shift

    def _indices(self, frames: int, handler: core.IndexListContextHandler, options: dict) -> list[list[int]]:
        return list(windows(frames, self._step, self.context_length, self.context_overlap, self.shift))


def with_windows(model, length: int = WINDOW, overlap: int = OVERLAP, shift: int = SHIFT):
    """A clone of a MODEL that sees `length` frames at a time."""
    clone = model.clone()
    clone.model_options["context_handler"] = ShiftedWindows(length, overlap, shift)
    core.create_prepare_sampling_wrapper(clone)
    return clone
