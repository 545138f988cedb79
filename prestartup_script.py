"""ComfyUI runs this before it loads any pack: from then on every pack can `import talking_portrait`,
whichever is loaded first."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).with_name("__init__.py")))
