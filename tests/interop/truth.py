"""Compares a recording of the `arcade` game with the game's own log, value by value.

usage: truth.py RECORDING TRUTH.csv

A row counts when its two frame counters agree (the game was not writing at that moment) and its frame is in the log. Prints
{"rows", "compared", "torn", "null_rows", "wrong": [...]}; `wrong` has at most ten entries.
"""

import csv
import json
import sys

import rows

SLACK_NS = 20_000_000  # between the game's clock reading and its write, when the machine is busy

recording, truth_path = sys.argv[1:3]
columns = rows.read(recording)
with open(truth_path, newline="") as file:
    truth = {int(row["frame"]): row for row in csv.DictReader(file) if row["name"]}

# How each column of the log is written down.
PARSE = {
    "health": int,
    "mana": float,
    "x": float,
    "speed": float,
    "score": int,
    "combo": int,
    "alive": lambda text: text == "1",
    "level": int,
    "temperature": int,
    "depth": int,
    "ticks": int,
    "inventory": bytes.fromhex,
    "name": str,
}

count = len(columns["seq"])
compared = torn = null_rows = 0
wrong = []
for index in range(count):
    row = {name: values[index] for name, values in columns.items()}
    if any(row[name] is None for name in row):
        null_rows += 1
        continue
    if row["frame_begin"] != row["frame_end"]:
        torn += 1
        continue
    true = truth.get(row["frame_begin"])
    if true is None or row["frame_begin"] == 0:
        continue
    compared += 1
    for name, parse in PARSE.items():
        if row[name] != parse(true[name]):
            wrong.append(f"row {index}, frame {row['frame_begin']}: {name} is {row[name]!r}, was {true[name]}")
    following = truth.get(row["frame_begin"] + 1)
    early = row["timestamp"] < int(true["before_ns"]) - SLACK_NS
    late = following is not None and row["timestamp"] > int(following["after_ns"]) + SLACK_NS
    if early or late:
        wrong.append(f"row {index}, frame {row['frame_begin']}: taken at {row['timestamp']}, was {true['before_ns']}")

print(json.dumps({"rows": count, "compared": compared, "torn": torn, "null_rows": null_rows, "wrong": wrong[:10]}))
