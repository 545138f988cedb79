"""Pickles of torch's and of numpy's, read without running anything in them (models/safe_files)."""

from .safe_files import load_arrays, load_tensors

__all__ = ["load_arrays", "load_tensors"]
