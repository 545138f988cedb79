"""The built-in renderer: bends the photo itself by closed-form inverse maps (output pixel -> source pixel)."""

from .renderer import WarpRenderer

__all__ = ["WarpRenderer"]
