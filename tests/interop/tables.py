"""Summarises table files with readers that are not Tapedeck's: pyarrow for .arrows and .parquet, Python's csv and json.

Usage: python tables.py FILE...

Prints one line of JSON for each file:

    {"file": "rows.csv", "rows": 3, "metadata": {...},
     "columns": {"health": {"type": "double", "first": 99.5, "last": 98.0, "sum": 296.25, "nulls": 0}, ...}}

"metadata" is the schema's own (arrow, parquet), as text. "type" is Arrow's name of the type; for csv and jsonl it is "int", "float",
"bool", "bytes", "timestamp", "json" or "text", as the values look. Points in time are whole nanoseconds since 1970, bytes are hexadecimal text, and
numbers that JSON doesn't have are "nan", "inf" and "-inf". "first" and "last" are the first and last values that are not null;
"sum" is there for numbers alone: exact for whole numbers, correctly rounded for others, without those that are not finite.
"""

import calendar
import csv
import json
import math
import re
import sys
import time

ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z")


def nanoseconds(text):
    """ISO 8601 with nine digits of a second as nanoseconds since 1970."""
    match = ISO.fullmatch(text)
    return calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(match[2])


def plain(value):
    """A value as JSON has it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def hexadecimal(text):
    """The bytes that 0x00ff stands for."""
    if not text.startswith("0x"):
        raise ValueError(text)
    return bytes.fromhex(text[2:])


def summary(type_name, values):
    """What is said of one column. `values` has None for null."""
    present = [value for value in values if value is not None]
    result = {
        "type": type_name,
        "first": plain(present[0]) if present else None,
        "last": plain(present[-1]) if present else None,
        "nulls": len(values) - len(present),
    }
    if present and all(isinstance(value, int) for value in present):
        result["sum"] = sum(present)
    elif present and all(isinstance(value, (int, float)) for value in present):
        result["sum"] = math.fsum(value for value in present if math.isfinite(value))
    return result


def arrow_table(table):
    """Summary of a pyarrow table."""
    import pyarrow as pa

    columns = {}
    for name, column in zip(table.column_names, table.columns):
        type_name = str(column.type)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        columns[name] = summary(type_name, column.to_pylist())
    metadata = table.schema.metadata or {}
    metadata = {key.decode(): value.decode() for key, value in metadata.items() if not key.startswith(b"ARROW:")}
    return {"rows": table.num_rows, "metadata": metadata, "columns": columns}


def arrows(path):
    import pyarrow as pa

    with pa.OSFile(path, "rb") as file, pa.ipc.open_stream(file) as reader:
        table = reader.read_all()
    table.validate(full=True)
    return arrow_table(table)


def parquet(path):
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    table.validate(full=True)
    result = arrow_table(table)
    file = pq.ParquetFile(path)
    pairs = file.metadata.metadata or {}
    result["metadata"].update({key.decode(): value.decode() for key, value in pairs.items() if not key.startswith(b"ARROW:")})
    result["row_groups"] = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
    return result


def typed(texts):
    """The values of a csv column and what they are, from their text. An empty text is null."""
    readers = [
        ("int", int),
        ("float", float),
        ("bool", {"true": True, "false": False}.__getitem__),
        ("timestamp", nanoseconds),
        ("bytes", hexadecimal),
    ]
    for name, read in readers:
        try:
            return name, [None if text == "" else read(text) for text in texts]
        except (ValueError, KeyError, TypeError):
            pass
    return "text", [None if text == "" else text for text in texts]


def comma_separated(path):
    csv.field_size_limit(2**31 - 1)
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file, strict=True)
    if any(len(row) != len(header) for row in rows):
        raise ValueError("rows of different lengths")
    columns = {name: summary(*typed([row[index] for row in rows])) for index, name in enumerate(header)}
    return {"rows": len(rows), "metadata": {}, "columns": columns}


def json_type(values):
    """What the values of a JSON column are, and the values as plain ones."""
    special = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    present = [value for value in values if value is not None]
    number = lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)
    if present and all(isinstance(value, bool) for value in present):
        return "bool", values
    if any(number(value) for value in present) and all(number(value) or (isinstance(value, str) and value in special) for value in present):
        values = [special.get(value, value) if isinstance(value, str) else value for value in values]
        return "int" if all(isinstance(value, int) for value in values if value is not None) else "float", values
    if present and all(isinstance(value, str) and ISO.fullmatch(value) for value in present):
        return "timestamp", [None if value is None else nanoseconds(value) for value in values]
    return "text" if all(isinstance(value, str) for value in present) else "json", values


def json_lines(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        rows = [json.loads(line) for line in file]
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: summary(*json_type([row.get(name) for row in rows])) for name in names}
    return {"rows": len(rows), "metadata": {}, "columns": columns}


READERS = {".arrows": arrows, ".parquet": parquet, ".csv": comma_separated, ".jsonl": json_lines}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in sys.argv[1:]:
        suffix = path[path.rfind("."):]
        if suffix not in READERS:
            sys.exit(f"no reader for {path}: it has none of the endings {', '.join(READERS)}")
        print(json.dumps({"file": path, **READERS[suffix](path)}, ensure_ascii=False))


if __name__ == "__main__":
    main()
