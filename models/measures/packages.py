"""Python packages that single measures need, and that nobody else has to install."""

from importlib.util import find_spec

PACKAGES = {
    "lpips": ("lpips",),
    "dlib": ("dlib", "face_recognition_models"),
}  # optional groups of pyproject.toml


def check_package(measure: str) -> None:
    """ValueError, with what to install, where a measure's package is missing."""
    missing = [name for name in PACKAGES[measure] if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"the Python package {' and '.join(missing)} is not installed. Install the optional group {measure} of "
            f"pyproject.toml: pip install 'talking-portrait[{measure}]'."
        )
