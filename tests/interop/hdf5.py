"""Reads an HDF5 recording of the layout `datasets` with h5py and compares it, value by value, with what was written.

    python hdf5.py FILE [TRUTH.json] [--swmr] [--siphon]

TRUTH.json is {"seq": [...], "timestamp": [nanoseconds...], "columns": {"health": [...], ...}, "group": "game"}: null where a value
was null, byte arrays as lists of numbers, `group` only where the file has several streams. Without it the file's own promises are
checked. `--swmr` opens the file as a reader of a live recording does; `--siphon` checks the layout `siphon` by its promises.
Exit code 1 and one line for each difference; 0 and one line of figures if there is none.
"""

import argparse
import json
import sys

import h5py
import numpy as np


def guide(group, live):
    """The recording guide's own reader lines, for every attribute. Of a live recording each dataset is read at its own moment."""
    attributes = [name for name in group.keys() if name not in ("_tapedeck", "seq", "timestamps")]
    timestamps = group["timestamps"][:]
    for name in attributes:
        values = group[name][:]
        assert live or len(values) == len(timestamps), f"{name}: {len(values)} values, {len(timestamps)} timestamps"
        assert group[name].ndim in (1, 2), f"{name} has {group[name].ndim} dimensions"
    duration = timestamps[-1] - timestamps[0] if len(timestamps) else 0.0
    return attributes, len(timestamps), float(duration)


def differences(group, truth):
    """Where the file is not what was written."""
    hidden = group["_tapedeck"]
    description = json.loads(group.file["_tapedeck/description"][0])
    stream = next(s for s in description["streams"] if s["group"] == truth.get("group", ""))
    names = [field["name"] for field in stream["schema"]["fields"][2:]]
    types = {field["name"]: field["type"] for field in stream["schema"]["fields"]}
    for name, expected in (("seq", truth["seq"]), ("_tapedeck/timestamp", truth["timestamp"])):
        if group[name][:].tolist() != expected:
            yield f"{name} is not what was written"
    seconds = np.asarray(truth["timestamp"], dtype="f8") / 1e9
    if not np.allclose(group["timestamps"][:], seconds, rtol=0, atol=1e-6):
        yield "timestamps are not the seconds of what was written"
    validity = hidden["validity"][:] if "validity" in hidden else None
    for name, expected in truth["columns"].items():
        dataset, values = group[name], group[name][:]
        if types[name] == "bool" and values.dtype != np.dtype(bool):
            yield f"{name} is {values.dtype}, not bool"
        column = names.index(name)
        for row, want in enumerate(expected):
            found = values[row]
            null = validity is not None and not validity[row, column // 8] >> (column % 8) & 1
            if null != (want is None):
                yield f"{name}[{row}] is {'' if null else 'not '}null"
            elif want is None:
                if dataset.dtype.kind == "f" and not np.isnan(found):
                    yield f"{name}[{row}] is {found}, not NaN"
            elif isinstance(want, str):
                if found.decode("utf-8") != want:
                    yield f"{name}[{row}] is {found!r}, not {want!r}"
            elif isinstance(want, list):
                if found.tolist()[: len(want)] != want:
                    yield f"{name}[{row}] is {found.tolist()}, not {want}"
            elif not (found == want or (found != found and want != want) or found == dataset.dtype.type(want)):
                yield f"{name}[{row}] is {found!r}, not {want!r}"


def siphon(file):
    """The datasets and attributes that the notebooks of the original server use."""
    timestamps = file["timestamps"]
    assert timestamps.dtype == "i8" and timestamps.ndim == 1
    memory = file["memory_data"]
    assert memory.dtype == "f4" and memory.shape == (len(timestamps), len(memory.attrs["attribute_names"]))
    assert all(isinstance(name, str) for name in memory.attrs["attribute_names"])
    if "inputs" in file:
        inputs = file["inputs"]
        assert inputs.dtype == "u1" and inputs.shape == (len(timestamps), len(inputs.attrs["key_mapping"]))
        assert set(np.unique(inputs[:])) <= {0, 1}
    assert file["latencies"].shape == (len(timestamps), 5)
    if "frames" in file:
        assert file["frames"].dtype == "u1" and file["frames"].ndim == 4 and file["frames"].shape[3] == 4
    print(f"{len(timestamps)} rows of {memory.shape[1]} attributes")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("truth", nargs="?")
    parser.add_argument("--swmr", action="store_true")
    parser.add_argument("--siphon", action="store_true")
    arguments = parser.parse_args()
    with h5py.File(arguments.file, "r", libver="latest", swmr=arguments.swmr) as file:
        assert isinstance(file.attrs["session"], str) and isinstance(file.attrs["pipeline"], str)
        assert all(int(file.attrs[name]) >= 0 for name in ("late", "dropped", "failed"))
        if arguments.siphon:
            return siphon(file)
        truth = json.load(open(arguments.truth)) if arguments.truth else {}
        group = file[truth["group"]] if truth.get("group") else file
        attributes, rows, duration = guide(group, arguments.swmr)
        wrong = list(differences(group, truth)) if truth else []
    for line in wrong[:50]:
        print(line)
    print(f"{len(attributes)} attributes, {rows} rows, {duration:.3f} s, {len(wrong)} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
