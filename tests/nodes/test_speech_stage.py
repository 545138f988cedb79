"""The audio encoder as a stage: every system takes one through a socket, or what it said; the numbers stay the same."""

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import folder_paths
import pytest
import torch
from talking_portrait.models.contracts import ENGINES as CATALOGUE
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.generation import generate_motion
from talking_portrait.models.joyvasa.hearing import JoyVASAEncoder
from talking_portrait.models.speech.builtin_layers import builtin_encoder_name
from talking_portrait.models.speech.ear import NAME, EarEncoder
from talking_portrait.models.speech.encoders import BuiltInEncoder, HubertEncoder, Wav2LipEncoder
from talking_portrait.models.speech.encoding import encoded_speech, weights_name
from talking_portrait.models.speech.hubert_layers import build_speech_encoder, hubert_state
from talking_portrait.models.speech.whisper import WhisperTiny, WhisperTinyEncoder, hidden_states
from talking_portrait.models.weights.published import WEIGHTS, weight_path
from talking_portrait.nodes.actalker import ACTalkerAudio
from talking_portrait.nodes.audio import GenerateFaceMotion
from talking_portrait.nodes.catalogue.weight_files import register_folders
from talking_portrait.nodes.fantasytalking import FantasyTalkingAudio
from talking_portrait.nodes.loaders import LoadMotionEngine
from talking_portrait.nodes.speech import EncodeSpeech, LoadSpeechEncoder
from talking_portrait.training.speech_net.shipped import shipped_encoder

from ..models.engine_samples import ENGINES, joyvasa_network, somebody, speech_network, wav2lip_encoder
from ..models.shipped_engines import clips
from ..models.test_takin_films import random_hubert

CLIP = clips("rms_000")["rms_000"]["wave"]
NATIVE = Fraction(25)
PORTRAIT = somebody()


@pytest.fixture(autouse=True)
def running():
    """As inside ComfyUI."""
    torch.manual_seed(0)
    register_folders()
    with torch.inference_mode():
        yield


def sound(seconds: float = 2.0, rate: int = 16000) -> Speech:
    return Speech(torch.from_numpy(CLIP[: int(seconds * rate)].copy())[None], rate)


def audio(speech: Speech) -> dict:
    return {"waveform": speech.waveform[None], "sample_rate": speech.sample_rate}


def hubert() -> HubertEncoder:
    state = hubert_state({"hubert." + key: value for key, value in random_hubert().state_dict().items()})
    network = build_speech_encoder(state, {})
    network.load_state_dict(state)
    return HubertEncoder(lambda: network, network.encoder_name, patcher=SimpleNamespace(model=network))


ENCODERS = {
    "built-in": lambda: BuiltInEncoder(speech_network, builtin_encoder_name(weight_path(WEIGHTS["speech"]))),
    "ear": lambda: EarEncoder(shipped_encoder, weights_name(NAME, weight_path(WEIGHTS["whisper_tiny_en"]))),
    "wav2lip": lambda: Wav2LipEncoder(wav2lip_encoder, "wav2lip-test"),
    "joyvasa": lambda: JoyVASAEncoder(joyvasa_network, "joyvasa-test"),
    "hubert": hubert,
    "whisper-tiny": lambda: WhisperTinyEncoder(whisper, "whisper-test"),
}
HEARD_BY = {"KDTalker": "wav2lip", "JoyVASA": "joyvasa", "Takin-ADA": "ear"}


def whisper() -> WhisperTiny:
    torch.manual_seed(3)
    network = WhisperTiny(dtype=torch.float32, operations=torch.nn)
    for parameter in network.parameters():
        parameter.normal_(0, 0.05)
    return network.eval()


@pytest.mark.parametrize("kind", ENCODERS)
def test_an_encoder_gives_what_core_s_encode_audio_needs_and_its_rate(kind):
    encoder, speech = ENCODERS[kind](), sound()
    core = encoder.encode_audio(speech.waveform[None], 16000)
    output, rate = EncodeSpeech.execute(encoder, audio(speech)).result
    encoded = encoded_speech(output)
    assert rate == float(encoder.rate) == (25 if kind == "wav2lip" else 50)
    assert output["audio_samples"] == core["audio_samples"] == 32000
    assert torch.equal(output["encoded_audio"], core["encoded_audio"])
    assert len(output["encoded_audio_all_layers"]) == len(encoded.layers)
    assert torch.equal(output["encoded_audio_all_layers"][-1], output["encoded_audio"])
    assert encoded.layers.shape[1] >= int(2 * encoder.rate) - 1 and torch.isfinite(encoded.layers).all()
    per_second = encoded.layers[:, : int(encoder.rate)].numel() * 4
    assert encoder.patcher is not None or encoder.bytes_per_second >= per_second


@pytest.mark.parametrize("name", HEARD_BY)
@pytest.mark.parametrize(("seconds", "fps"), [(2.0, 25), (3.3, 25), (2.0, 30), (3.6, 24)])
def test_a_clip_that_was_encoded_before_moves_the_face_alike(name, seconds, fps):
    engine, speech = ENGINES[name](), sound(seconds)

    def made(given: Speech):
        return generate_motion(
            engine, given, Fraction(fps), 3, MotionSettings(), lambda done, n: None, PORTRAIT
        )

    whole = made(speech)
    encoded = ENCODERS[HEARD_BY[name]]().encode(speech.waveform, 16000)
    before = made(replace(speech, encoded=encoded))
    assert len(before) == len(whole)
    for track in ("expression", "pose", "controls"):
        assert torch.allclose(getattr(whole, track), getattr(before, track), atol=2e-5), track


@pytest.mark.parametrize("name", HEARD_BY)
def test_a_clip_of_no_whole_frames_at_another_rate_repeats_what_was_heard_last(name):
    speech = sound(2.01)
    told = replace(speech, encoded=ENCODERS[HEARD_BY[name]]().encode(speech.waveform, 16000))
    motion = generate_motion(
        ENGINES[name](), told, Fraction(30), 3, MotionSettings(), lambda d, n: None, PORTRAIT
    )
    assert len(motion) == 60 and torch.isfinite(motion.expression).all()


@pytest.mark.parametrize("name", HEARD_BY)
def test_what_was_encoded_is_not_heard_again(name, monkeypatch):
    """A new seed or mood takes what is there; the encoder's network may not even be asked for."""
    engine, speech = ENGINES[name](), sound()
    encoded = ENCODERS[HEARD_BY[name]]().encode(speech.waveform, 16000)

    def never(*given):
        raise AssertionError("it was heard again")

    for place in ("speech_network", "audio_encoder"):
        if hasattr(engine, place):
            monkeypatch.setattr(engine, place, never)
    if name == "JoyVASA":
        monkeypatch.setattr(type(engine.network()), "hidden", never)
    told = replace(speech, encoded=encoded)
    one, two = (
        generate_motion(engine, told, NATIVE, seed, MotionSettings(), lambda d, n: None, PORTRAIT)
        for seed in (1, 2)
    )
    assert not torch.equal(one.pose, two.pose) or name == "KDTalker"


def test_what_does_not_fit_is_refused_by_name():
    speech = sound(1)
    encoded = ENCODERS["whisper-tiny"]().encode(speech.waveform, 16000)
    for name, fit in (
        ("KDTalker", "Wav2Lip"),
        ("JoyVASA", "JoyVASA's own"),
        ("Takin-ADA", "the built-in one or Whisper tiny.en or HuBERT"),
    ):
        with pytest.raises(
            ValueError, match=f"audio_encoder_output is Whisper-tiny, but {name} was trained on {fit}"
        ):
            generate_motion(
                ENGINES[name](),
                replace(speech, encoded=encoded),
                NATIVE,
                0,
                MotionSettings(),
                print,
                PORTRAIT,
            )
    with pytest.raises(ValueError, match="audio_encoder_output is connected, but built-in hears by itself"):
        generate_motion(
            ENGINES["built-in"](), replace(speech, encoded=encoded), NATIVE, 0, MotionSettings(), print
        )
    other = replace(sound(2), encoded=ENCODERS["ear"]().encode(speech.waveform, 16000))
    with pytest.raises(ValueError, match="made from another clip than audio"):
        generate_motion(ENGINES["Takin-ADA"](), other, NATIVE, 0, MotionSettings(), print)
    stranger = {"encoded_audio": torch.zeros(1, 5, 8)}
    engine = SimpleNamespace(id="x", native_fps=None, reads=frozenset(), generate=None)
    amounts = dict(
        mouth_amount=1.0, head_amount=1.0, blink_rate=18.0, brow_amount=1.0, silence_threshold=-38.0
    )
    with pytest.raises(ValueError, match="Generate Face Motion: audio_encoder_output comes from an encoder"):
        GenerateFaceMotion.execute(
            motion_engine=engine,
            audio=audio(speech),
            fps=25.0,
            seed=0,
            audio_encoder_output=stranger,
            **amounts,
        )


@pytest.mark.parametrize(("engine", "fit"), [("KDTalker", "Wav2Lip"), ("JoyVASA", "JoyVASA's own")])
def test_engines_refuse_another_s_encoder(engine, fit, monkeypatch):
    monkeypatch.setitem(CATALOGUE, engine, replace(CATALOGUE[engine], files=()))
    options = {"engine": engine, "audio_encoder": ENCODERS["built-in"]()}
    with pytest.raises(
        ValueError, match=f"audio_encoder is the built-in one, but {engine} was trained on {fit}"
    ):
        LoadMotionEngine.execute(options)


def test_what_a_link_brings_needs_no_file(monkeypatch):
    """Before a run ComfyUI tells that a socket is linked, and not with what: its file was asked for all the same."""
    for folder in ("kdtalker", "liveportrait", "actalker", "audio_encoders"):
        monkeypatch.setitem(folder_paths.folder_names_and_paths, folder, ([], set()))
    folder_paths.filename_list_cache.clear()

    def missing(node, **given) -> str:
        with pytest.raises(ValueError) as caught:
            node.validate_inputs(**given)
        return str(caught.value)

    alone = missing(LoadMotionEngine, engine="KDTalker")
    types = {"engine.audio_encoder": "AUDIO_ENCODER", "engine.keypoint_extractor": "KEYPOINT_EXTRACTOR"}
    linked = missing(LoadMotionEngine, engine="KDTalker", input_types=types)
    assert "wav2lip.pth" in alone and "motion_extractor.safetensors" in alone and "KDTalker.pth" in alone
    assert "wav2lip.pth" not in linked and "motion_extractor" not in linked and "KDTalker.pth" in linked
    assert "whisper-tiny.safetensors" in missing(ACTalkerAudio)
    heard = missing(ACTalkerAudio, input_types={"audio_encoder_output": "AUDIO_ENCODER_OUTPUT"})
    assert "whisper" not in heard and "audio_linear" in heard
    folder_paths.filename_list_cache.clear()


def test_takin_takes_its_encoder_from_the_socket_and_refuses_two():
    encoder = LoadSpeechEncoder.execute("built-in").result[0]
    engine = LoadMotionEngine.execute({"engine": "Takin-ADA", "audio_encoder": encoder}).result[0]
    assert engine.encoder == encoder.name
    with pytest.raises(ValueError, match="Takin-ADA network|was trained on the speech encoder"):
        LoadMotionEngine.execute({"engine": "Takin-ADA", "audio_encoder": hubert()})
    with pytest.raises(
        ValueError, match="audio_encoder is Wav2Lip, but Takin-ADA was trained on the built-in one or"
    ):
        LoadMotionEngine.execute({"engine": "Takin-ADA", "audio_encoder": ENCODERS["wav2lip"]()})


def test_pixel_systems_refuse_another_s_encoder():
    speech = audio(sound(1))
    adapter = SimpleNamespace(patcher=None, ready=None, device=None)
    with pytest.raises(
        ValueError, match="audio_encoder is Wav2Lip, but FantasyTalking was trained on wav2vec2"
    ):
        FantasyTalkingAudio.execute(
            adapter, ENCODERS["wav2lip"](), speech, [[torch.zeros(1, 4, 8), {}]], 0, 23.0, "pad with silence"
        )


@pytest.fixture
def actalker_files(actalker_weights, monkeypatch):
    """ACTalker's files of random numbers in ComfyUI's folders."""
    for name in ("actalker", "audio_encoders"):
        monkeypatch.setitem(
            folder_paths.folder_names_and_paths, name, ([str(actalker_weights / name)], set())
        )
    folder_paths.filename_list_cache.clear()
    yield
    folder_paths.filename_list_cache.clear()


@pytest.mark.slow
def test_actalker_hears_by_the_socket_or_by_what_was_heard(actalker_files):
    speech = audio(sound(2.5))
    alone, frames = ACTalkerAudio.execute(speech).result
    encoder = LoadSpeechEncoder.execute("Whisper-tiny").result[0]
    through, _ = ACTalkerAudio.execute(speech, audio_encoder=encoder).result
    output = EncodeSpeech.execute(encoder, speech).result[0]
    before, _ = ACTalkerAudio.execute(speech, audio_encoder_output=output).result
    assert frames == 31 and torch.equal(alone.tokens, through.tokens)
    assert torch.allclose(alone.tokens, before.tokens, atol=1e-6)
    with pytest.raises(
        ValueError, match="audio_encoder is the built-in one, but ACTalker was trained on Whisper-tiny"
    ):
        ACTalkerAudio.execute(speech, audio_encoder=ENCODERS["built-in"]())


def test_whisper_s_layers_are_its_hidden_states():
    wave = sound(2).waveform[0]
    layers = ENCODERS["whisper-tiny"]().encode(wave[None], 16000).layers
    assert torch.allclose(layers, hidden_states(whisper(), wave).transpose(0, 1)[:, :100], atol=1e-6)


def test_an_encoder_s_name_is_that_of_its_weights(tmp_path):
    (tmp_path / "a").write_bytes(b"1" * 3_000_000)
    (tmp_path / "b").write_bytes(b"1" * 2_999_999 + b"2")
    one, two = (weights_name("x", tmp_path / name) for name in "ab")
    assert one != two and one.startswith("x-") and one == weights_name("x", tmp_path / "a")
