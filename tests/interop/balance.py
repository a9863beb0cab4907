"""Holds what a session says of itself against its files, whose rows are counted with other people's readers.

usage: balance.py SESSION [--run REPORT MANIFEST] [--recovered REPORT]

`--run`: what `run --json` printed, and the manifest as that run left it. `--recovered`: what `recover --json` printed. For each input
of each sink: given = written + dropped + failed; the file has `written` rows, with rising numbers, and the numbers that it lacks are
those that were late, dropped or failed; all three speak of the same numbers. Prints {"wrong": [...], "given", "written", "dropped",
"failed", "late"}, sums over all inputs.
"""

import argparse
import json
import pathlib

import h5py
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

LOSS = ("late", "dropped", "failed", "partial")


def hdf5(path, stream, single):
    with h5py.File(path, "r") as file:
        return (file if single else file[stream])["seq"][:].tolist()


def arrow(path):
    with open(path, "rb") as file, pa.ipc.open_stream(file) as reader:
        return reader.read_all()["seq"].to_pylist()


def jsonl(path):
    with open(path) as file:
        return [json.loads(line)["seq"] for line in file]


def csv(path):
    # A file that was begun and has no header yet.
    return pa.csv.read_csv(path)["seq"].to_pylist() if path.stat().st_size else []


def numbers(folder, manifest, sink, index):
    """The `seq` of every row that the files of a sink hold of one of its inputs."""
    entry = sink["inputs"][index]
    found = []
    for artifact in manifest["artifacts"]:
        mine = artifact["sink"] == sink["id"] and artifact["role"] == "recording"
        if not mine or artifact.get("input", index) != index:
            continue
        path = folder / artifact["path"]
        if not path.exists():
            continue
        match sink["plugin"]:
            case "hdf5":
                found += hdf5(path, entry["stream"], len(sink["inputs"]) == 1)
            case "parquet":
                found += pa.parquet.read_table(path, columns=["seq"])["seq"].to_pylist()
            case "arrow":
                found += arrow(path)
            case "csv":
                found += csv(path)
            case "jsonl":
                found += jsonl(path)
    return found


def inputs(folder, manifest, sums):
    """What is wrong with the inputs of the sinks."""
    for sink in manifest["sinks"]:
        for index, entry in enumerate(sink["inputs"]):
            place = f"{sink['id']} ({sink['plugin']}), {entry['stream']}"
            origins = [manifest["streams"][origin] for origin in entry["origins"]]
            given = sum(stream["frames"] for stream in origins)
            late = sum(stream["loss"]["late"] for stream in origins)
            loss, written = entry["loss"], entry["written"]
            seq = numbers(folder, manifest, sink, index)
            for key, value in zip(sums, (given, written, loss["dropped"], loss["failed"], late)):
                sums[key] += value
            if entry.get("unknown") or any(stream.get("unknown") for stream in origins):
                yield f"{place}: something is not known"
            if len(seq) != written:
                yield f"{place}: {len(seq)} rows in the file, {written} were written"
            if given != written + loss["dropped"] + loss["failed"]:
                yield f"{place}: {given} given, {written} written, {loss}"
            if loss["late"] != late:
                yield f"{place}: {loss['late']} late, and {late} at the source"
            if any(later <= earlier for earlier, later in zip(seq, seq[1:])):
                yield f"{place}: the numbers do not rise"
            # Each frame and each late tick has used up one number.
            missing = given + late - len(set(seq))
            if missing != late + loss["dropped"] + loss["failed"] or (seq and seq[-1] >= given + late):
                yield f"{place}: {missing} numbers are missing, the last is {seq[-1:]} of {given + late}, {loss}"


def totals(manifest):
    """What is wrong with the sums. No two inputs share a queue or a transform here."""
    everything = [entry["loss"] for sink in manifest["sinks"] for entry in sink["inputs"]]
    expected = {key: sum(loss[key] for loss in everything) for key in ("dropped", "failed")}
    expected["late"] = sum(stream["loss"]["late"] for stream in manifest["streams"])
    for key, value in expected.items():
        if manifest["loss"][key] != value:
            yield f"the session: {manifest['loss'][key]} {key}, and {value} in the sum"


def run(report, manifest):
    """Where the report of a run differs from its manifest."""
    if report["loss"] != manifest["loss"]:
        yield f"the run reports {report['loss']}, the manifest {manifest['loss']}"
    for ours, theirs in zip(report["streams"], manifest["streams"], strict=True):
        if (ours["frames"], ours["late"]) != (theirs["frames"], theirs["loss"]["late"]):
            yield f"the run reports {ours}, the manifest {theirs['frames']} frames, {theirs['loss']}"
    for ours, theirs in zip(report["sinks"], manifest["sinks"], strict=True):
        written = sum(entry["written"] for entry in theirs["inputs"])
        loss = {key: sum(entry["loss"][key] for entry in theirs["inputs"]) for key in LOSS}
        if (ours["id"], ours["frames"], ours["loss"]) != (theirs["id"], written, loss):
            yield f"the run reports {ours['id']}: {ours['frames']}, {ours['loss']}, the manifest {written}, {loss}"


def recovered(report, manifest):
    """Where the report of a recovery differs from the manifest."""
    told = {(stream["sink"], stream["stream"]): stream for stream in report["streams"]}
    if report["was_whole"]:
        return
    for sink in manifest["sinks"]:
        for entry in sink["inputs"]:
            stream = told.pop((sink["id"], entry["stream"]), None)
            if stream is None:
                yield f"the recovery does not speak of {sink['id']}, {entry['stream']}"
                continue
            given = sum(manifest["streams"][origin]["frames"] for origin in entry["origins"])
            ours = (stream["given"], stream["frames"], stream["dropped"], stream["failed"] + stream["lost"])
            theirs = (given, entry["written"], entry["loss"]["dropped"], entry["loss"]["failed"])
            if ours != theirs:
                yield f"the recovery of {sink['id']}, {entry['stream']}: {ours}, the manifest {theirs}"
    if told:
        yield f"the recovery speaks of {list(told)}"


parser = argparse.ArgumentParser()
parser.add_argument("session", type=pathlib.Path)
parser.add_argument("--run", nargs=2, type=pathlib.Path)
parser.add_argument("--recovered", type=pathlib.Path)
arguments = parser.parse_args()
manifest = json.loads((arguments.session / "session.json").read_text())
sums = dict.fromkeys(("given", "written", "dropped", "failed", "late"), 0)
wrong = [*inputs(arguments.session, manifest, sums), *totals(manifest)]
if arguments.run:
    report, left = arguments.run
    last = report.read_text().splitlines()[-1:]
    # What is killed comes to no report: its last line is of its progress, and may be cut off.
    if last and last[0].startswith('{"report"'):
        wrong += run(json.loads(last[0])["report"], json.loads(left.read_text()))
if arguments.recovered:
    wrong += recovered(json.loads(arguments.recovered.read_text()), manifest)
print(json.dumps({"wrong": wrong, **sums}))
