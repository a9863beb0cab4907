"""Reads a recording of any of the formats with other people's readers: a dictionary of columns, each a list of plain values.

Nulls are None, timestamps are nanoseconds since 1970, byte strings are bytes.
"""

import csv
import datetime
import json
import pathlib


def read(path):
    """The columns of the file, by its extension."""
    return {
        ".h5": read_hdf5,
        ".parquet": read_parquet,
        ".arrows": read_arrow,
        ".csv": read_csv,
        ".jsonl": read_jsonl,
        ".mcap": read_mcap,
    }[pathlib.Path(path).suffix](path)


def nanoseconds(text):
    """2026-11-21T00:54:05.123456789Z as a number."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc).timestamp()
    return int(seconds) * 1_000_000_000 + int((fraction + "000000000")[:9])


def from_table(table):
    import pyarrow as pa

    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        columns[name] = column.to_pylist()
    return columns


def read_parquet(path):
    import pyarrow.parquet

    return from_table(pyarrow.parquet.read_table(path))


def read_arrow(path):
    import pyarrow as pa

    with open(path, "rb") as file, pa.ipc.open_stream(file) as reader:
        return from_table(reader.read_all())


def plain(name, text):
    """A CSV field as a value: what it looks like, but for the columns that tests know to be bytes or text."""
    if text == "":
        return None
    if name in ("inventory", "position", "bytes"):
        return bytes.fromhex(text.removeprefix("0x"))
    if name in ("name", "text"):
        return text
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        return float(text)


def read_csv(path):
    with open(path, newline="") as file:
        found = list(csv.DictReader(file))
    columns = {name: [] for name in (found[0] if found else [])}
    for row in found:
        for name, text in row.items():
            columns[name].append(nanoseconds(text) if name == "timestamp" else plain(name, text))
    return columns


def read_jsonl(path):
    import base64

    columns = {}
    with open(path) as file:
        for line in file:
            for name, value in json.loads(line).items():
                if name == "timestamp":
                    value = nanoseconds(value)
                elif name in ("inventory", "position", "bytes") and value is not None:
                    value = base64.b64decode(value)
                columns.setdefault(name, []).append(value)
    return columns


def read_mcap(path):
    """The rows of the only stream of attributes, written as protobuf."""
    from mcap.reader import make_reader
    from mcap_protobuf.decoder import DecoderFactory

    columns = {"seq": [], "timestamp": []}
    with open(path, "rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        for _, channel, message, decoded in reader.iter_decoded_messages(log_time_order=False):
            base = int(channel.metadata.get("tapedeck.seq_base", 0))
            columns["seq"].append(base + message.sequence)
            columns["timestamp"].append(message.log_time)
            for field in decoded.DESCRIPTOR.fields:
                value = getattr(decoded, field.name) if decoded.HasField(field.name) else None
                columns.setdefault(field.name, []).append(value)
    return columns


def read_hdf5(path):
    import h5py
    import numpy as np

    with h5py.File(path, "r") as file:
        names = [name for name in file if isinstance(file[name], h5py.Dataset)]
        columns = {}
        for name in names:
            data = file[name][:]
            if name == "timestamps":
                continue
            if data.dtype.kind == "S":
                columns[name] = [value.decode() for value in data]
            elif data.ndim == 2:
                columns[name] = [bytes(value) for value in data]
            else:
                columns[name] = data.tolist()
        columns["timestamp"] = file["_tapedeck/timestamp"][:].tolist()
        hide_nulls(file, columns, np)
    return columns


def hide_nulls(file, columns, np):
    """Puts None where the file's validity bits say so: one bit a payload column, lowest first, 1 = not null."""
    if "_tapedeck/validity" not in file:
        return
    description = json.loads(file["_tapedeck/description"][0])
    payload = description["streams"][0]["schema"]["fields"][2:]
    unpacked = np.unpackbits(file["_tapedeck/validity"][:], axis=1, bitorder="little")
    for index, field in enumerate(payload):
        name = field["name"]
        columns[name] = [value if ok else None for value, ok in zip(columns[name], unpacked[:, index])]
