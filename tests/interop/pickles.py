"""Folders of timed pickles as Python sees them.

  pickles.py make DIR PROTOCOL    writes one frame of every kind of value, numpy's and unknown classes included
  pickles.py read DIR             prints what plain `pickle` reads: {"frames": [[time, value], ...]}
"""
import hashlib, json, pathlib, pickle, sys

import numpy as np


def values():
    same = ["same"] * 3
    plain = [None, True, 0, 255, 256, 65535, 65536, 2**31 - 1, -2**31, 2**53 + 1, 2**63, -2**200, -0.0, 1e308, float("inf"), "", "é", "日本\n",
             "x" * 300, b"", bytes(range(256)), b"y" * 70_000, (), (1,), (1, 2, 3), (1, 2, 3, 4), [], list(range(2000)), {}, {"a": 1},
             {"k": {"deep": [1, (2.5, None), {"z": b"q"}]}}, {1: 2, (3, 4): "t"}, [same, same]]
    arrays = [np.arange(12, dtype="<f4").reshape(3, 4), np.zeros((0, 3), "<f8"), np.array([True, False]), np.asfortranarray(np.ones((2, 3))),
              np.float32(1.25), np.int64(-7), np.zeros(2, dtype=[("x", "<f4"), ("ring", "<u2")]), {"points": np.ones((2000, 4)), "seq": 1}]
    others = [{1, 2}, frozenset({"f"}), bytearray(b"ba"), 3 + 4j, pathlib.PurePosixPath("/a/b"), range(3), Exception("e")]
    return plain + arrays + others


def make(folder, protocol):
    folder.mkdir()
    for number, value in enumerate(values()):
        with open(folder / f"{number:03d}.pickle", "wb") as file:
            pickle.dump((1704067200.0 + number * 0.1, value), file, protocol=protocol)


def told(value):
    kind = type(value)
    if kind in (list, tuple):
        return [kind.__name__, *map(told, value)]
    if kind in (set, frozenset):
        return [kind.__name__, *sorted(map(repr, value))]
    if kind is dict:
        return ["dict", *([told(key), told(item)] for key, item in value.items())]
    if kind.__module__ == "numpy":
        return [value.dtype.str, list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]
    return [kind.__name__, repr(value)]


def read(folder):
    frames = []
    for path in sorted(folder.glob("*.pickle"), key=lambda path: int(path.stem)):
        time, value = pickle.loads(path.read_bytes())
        frames.append([time.hex(), told(value)])
    return {"frames": frames}


what, folder = sys.argv[1], pathlib.Path(sys.argv[2])
print(json.dumps(make(folder, int(sys.argv[3])) if what == "make" else read(folder)))
