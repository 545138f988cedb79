"""What Tux Paint's stamps are called, for training/speech_net/recorded_voices.py: people say it in eight languages.

    python3 run.py python -m talking_portrait.training.speech_net.stamp_texts STAMPS LANGUAGE TEXTS

STAMPS: the folder of Debian's tuxpaint-stamps-default (GPL-2). LANGUAGE: en, be, bg, ca, el, es, fr, ro or ru. TEXTS
gets lines `name: text` of the stamps that are spoken in it.
"""

import argparse
import re
from pathlib import Path


def stamp_text(path: Path, language: str) -> str:
    """What a stamp's text file calls it in a language; empty if it does not."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if language == "en":
        return text.splitlines()[0].strip()
    found = re.search(rf"^{language}\.utf8=(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stamps", type=Path)
    parser.add_argument("language")
    parser.add_argument("texts", type=Path)
    arguments = parser.parse_args()
    ending = "_desc" if arguments.language == "en" else f"_desc_{arguments.language}"
    lines = []
    for sound in sorted(arguments.stamps.rglob(f"*{ending}.ogg")):
        about = sound.with_name(sound.stem.removesuffix(ending) + ".txt")
        text = stamp_text(about, arguments.language) if about.exists() else ""
        if text:
            lines.append(f"{sound.relative_to(arguments.stamps).with_suffix('')}: {text}")
    arguments.texts.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} stamps are spoken in {arguments.language}")


if __name__ == "__main__":
    main()
