"""Sums up a recording of any format, read with other people's readers.

usage: summary.py RECORDING

Prints {"rows": N, "columns": {name: {"first", "last", "sum", "nulls"}}}; the sum is of the numbers that are not null.
"""

import json
import sys

import rows


def shown(value):
    return value.hex() if isinstance(value, bytes) else value


columns = rows.read(sys.argv[1])
summary = {}
for name, values in columns.items():
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    summary[name] = {
        "first": shown(values[0]) if values else None,
        "last": shown(values[-1]) if values else None,
        "sum": sum(numbers) if numbers else None,
        "nulls": sum(value is None for value in values),
    }
print(json.dumps({"rows": len(columns.get("seq", [])), "columns": summary}))
