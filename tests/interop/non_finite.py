"""What others make of numbers and nulls in a session's files, as JSON: the type that pyarrow finds for a column of JSON lines, and for a
dataset of an HDF5 file its attribute `nulls` beside the nulls that its attribute `validity` leads to.

    python non_finite.py LINES.jsonl COLUMN FILE.h5 DATASET
"""

import json
import re
import sys

import h5py
import pyarrow.json

lines, column, path, name = sys.argv[1:]
found = {"type": str(pyarrow.json.read_json(lines).schema.field(column).type)}
with h5py.File(path) as file:
    attributes = file[name].attrs
    bits, byte, mask = re.fullmatch(r"(\S+)\[:, (\d+)\] & (\d+)", attributes["validity"]).groups()
    validity = file[bits][:, int(byte)] & int(mask)
    found.update(rows=len(validity), nulls=int(attributes["nulls"]), counted=int((validity == 0).sum()))
print(json.dumps(found))
