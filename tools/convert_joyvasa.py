"""Make safetensors and JSON of JoyVASA's two published files, which are pickles; nothing in them is run.

    python3 run.py python -m talking_portrait.tools.convert_joyvasa CHECKPOINT.pt TEMPLATE.pkl COMFYUI_MODELS_FOLDER

The engine also reads the pickles themselves, with the same restricted readers. Converted files load a little
faster, and people who take no pickles at all can keep these.
"""

import argparse
import json
from pathlib import Path

from safetensors.torch import save_file

from ..models.joyvasa.checkpoint import joyvasa_state
from ..models.joyvasa.motion import read_template
from ..models.weights.safe_files import load_tensors


def convert(checkpoint: Path, template: Path, models: Path) -> list[Path]:
    """Write both files into `models`/joyvasa, where the engine looks; the paths written. ValueError if they
    are others."""
    state, values = joyvasa_state(load_tensors(checkpoint)), read_template(template, "convert_joyvasa").values
    folder = models / "joyvasa"
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / f"{checkpoint.stem}.safetensors", folder / f"{template.stem}.json"]
    save_file(
        {key: value.contiguous() for key, value in state.items()}, written[0], {"source": checkpoint.name}
    )
    written[1].write_text(json.dumps({name: value.tolist() for name, value in values.items()}, indent=1))
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make safetensors and JSON of JoyVASA's published pickles.")
    for name in ("checkpoint", "template", "models"):
        parser.add_argument(name, type=Path)
    for path in convert(**vars(parser.parse_args())):
        print(f"{path}: {path.stat().st_size / 1e6:.3f} MB")
