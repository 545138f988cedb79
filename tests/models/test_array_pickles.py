"""Pickles of numpy arrays, as numpy 1 and 2 write them in all protocols, are read by own functions."""

import io
import pickle
from types import FunctionType

import numpy as np
import pytest
from talking_portrait.models.weights import safe_files

from .hostile.pickle_pieces import HEAD, STOP, text


class OldNumpyPickler(pickle._Pickler):
    """Writes as numpy 1 did: the same functions under the names that they had then."""

    def save_global(self, obj, name=None):
        module = getattr(obj, "__module__", "") or ""
        if not module.startswith("numpy._core"):
            return super().save_global(obj, name)
        module, name = module.replace("numpy._core", "numpy.core"), obj.__name__
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    dispatch = {**pickle._Pickler.dispatch, FunctionType: save_global}


def in_numpy_1(content, protocol: int) -> bytes:
    """A pickle by numpy 1."""
    room = io.BytesIO()
    OldNumpyPickler(room, protocol).dump(content)
    assert b"numpy._core" not in room.getvalue() and b"numpy.core" in room.getvalue()
    return room.getvalue()


ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "float64": np.arange(3.0),
    "float16": np.ones(2, np.float16),
    "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "every second": np.arange(10)[::2],
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "no dimension": np.array(1.5),
    "bool": np.array([True, False]),
    "int8": np.arange(3, dtype=np.int8),
    "uint16": np.arange(3, dtype=np.uint16),
    "other order": np.arange(3, dtype=">f4"),
    "empty": np.zeros((0, 3)),
    "number": np.float32(2.5),
    "count": np.int64(7),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("write", [pickle.dumps, in_numpy_1], ids=["numpy 2", "numpy 1"])
def test_every_kind_of_array_comes_back(tmp_path, write, protocol):
    content = {**ARRAYS, "plain": [1, 2.5, (3, "x"), None, True, b"y"], "twice": [ARRAYS["float32"]] * 2}
    path = tmp_path / "arrays.pkl"
    path.write_bytes(write(content, protocol))
    found = safe_files.load_arrays(path)
    assert found.keys() == content.keys() and found["plain"] == content["plain"]
    for key, value in ARRAYS.items():
        assert found[key].dtype == value.dtype.newbyteorder("=") and found[key].shape == value.shape, key
        assert np.array_equal(found[key], value), key
    assert all(np.array_equal(array, ARRAYS["float32"]) for array in found["twice"])


def test_time_and_instructions_grow_with_the_file_only(tmp_path):
    path = tmp_path / "many.pkl"
    path.write_bytes(HEAD + b"](" + b"N" * 300_000 + b"e" + STOP)  # a byte for each instruction
    with pytest.raises(ValueError, match="more instructions than a right file of its size"):
        safe_files.load_arrays(path)
    path.write_bytes(HEAD + b"](" + text("a text") * 100_000 + b"e" + STOP)
    assert len(safe_files.load_arrays(path)) == 100_000
