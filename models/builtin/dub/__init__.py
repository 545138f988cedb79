"""The built-in renderer's way to dub a film: the texture of one closed mouth, carried to the pose of every frame."""

from .dubber import WarpDubber

__all__ = ["WarpDubber"]
