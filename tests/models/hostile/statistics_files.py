"""KDTalker's statistics (.npz) that are none, as (file name, bytes)."""

import io
import struct
import zipfile
from collections.abc import Iterator

import numpy as np

from .pickle_pieces import text

STATISTICS = {
    f"{name}_{kind}": np.full(size, 1.0, np.float32)
    for name, size in {"scale": 1, "yaw": 1, "pitch": 1, "roll": 1, "t": 3, "exp": 63, "kp": 63}.items()
    for kind in ("mean", "std")
}


def zipped(members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these members."""
    room = io.BytesIO()
    with zipfile.ZipFile(room, "w", packing) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return room.getvalue()


def npy(array: np.ndarray) -> bytes:
    """What numpy writes."""
    room = io.BytesIO()
    np.save(room, array)
    return room.getvalue()


def headed(header: str, data: bytes = bytes(4), edition: bytes = b"\x01\x00") -> bytes:
    """A .npy file of a header of one's own."""
    text_ = header.encode()
    length = struct.pack("<H" if edition[0] == 1 else "<I", len(text_))
    return b"\x93NUMPY" + edition + length + text_ + data


def npz(**change: bytes) -> bytes:
    """KDTalker's statistics, with some members changed."""
    return zipped({f"{name}.npy": change.get(name, npy(array)) for name, array in STATISTICS.items()})


def npy_headers() -> Iterator[tuple[str, bytes]]:
    """Statistics with one member whose header says something mean."""
    shape = "'fortran_order': False, 'shape': (1,), }"
    for name, header in {
        "objects": "{'descr': '|O', " + shape,
        "fields": "{'descr': [('a', '<f4')], " + shape,
        "program": "__import__('os').system('touch canary')",
        "program inside": "{'descr': __import__('os').system('touch canary'), " + shape,
        "huge": "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }",
        "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "text": "hello",
        "empty": "",
        "brackets": "(" * 9000,
        "nested": "{'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 500 + ")" * 500 + ", }",
        "a list": "[" * 9000,
        "digits": "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 9000 + ",), }",
        "complex": "{'descr': '<c8', " + shape,
        "text numbers": "{'descr': '<U1', " + shape,
        "dates": "{'descr': '<M8[s]', " + shape,
        "order": "{'descr': '<f4', 'fortran_order': 2, 'shape': (1,), }",
        "no shape": "{'descr': '<f4'}",
        "a key twice": "{'descr': '<f4', 'descr': '|O', " + shape,
        "no closing": "{'descr': '<f4', " + shape[:-1],
        "half floats of odd size": "{'descr': '<f3', " + shape,
    }.items():
        yield f"{name}.npz", npz(yaw_mean=headed(header))
    good = "{'descr': '<f4', " + shape
    yield "edition 9.npz", npz(yaw_mean=headed(good, edition=b"\x09\x00"))
    yield "long header.npz", npz(yaw_mean=headed(good + " " * 60_000))
    yield "header of 4 GB.npz", npz(yaw_mean=b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + good.encode())
    yield "other magic.npz", npz(yaw_mean=b"\x93NUMPZ\x01\x00" + bytes(100))
    yield "short.npz", npz(yaw_mean=b"\x93NUM")
    yield "nothing.npz", npz(yaw_mean=b"")
    yield "pickled objects.npz", npz(yaw_mean=npy(np.array([{}], object)))
    yield "a pickle.npz", npz(yaw_mean=b"\x80\x02cos\nsystem\n" + text("touch canary") + b"\x85R.")
    yield "NaN.npz", npz(yaw_mean=npy(np.float32([np.nan])))
    yield "zero deviation.npz", npz(yaw_std=npy(np.zeros(1)))
    yield "beyond float32.npz", npz(yaw_mean=npy(np.float64([1e300])))
    yield "leads out.npz", zipped({f"../../{name}.npy": npy(array) for name, array in STATISTICS.items()})
    yield "missing.npz", zipped({f"{name}.npy": npy(array) for name, array in list(STATISTICS.items())[:-1]})


STATISTICS_FILES = {"npy headers": npy_headers}
