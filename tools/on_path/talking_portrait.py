"""Makes this checkout importable as `talking_portrait`, whatever it is called: run.py puts this folder on
PYTHONPATH."""

import runpy
import sys
from pathlib import Path

del sys.modules[__name__]  # for the package itself, which the next line puts there
runpy.run_path(str(Path(__file__).resolve().parents[2] / "__init__.py"))
