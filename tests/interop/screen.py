"""What the terminal emulator pyte has on its screen and above it after a version 3 asciicast, as JSON."""

import json
import sys

import pyte

with open(sys.argv[1], encoding="utf-8") as file:
    term = json.loads(file.readline())["term"]
    screen = pyte.HistoryScreen(term["cols"], term["rows"], history=100_000)
    stream = pyte.Stream(screen)
    for line in file:
        _, code, data = json.loads(line)
        if code == "o":
            stream.feed(data)


def text(row):
    return "".join(row[column].data for column in range(term["cols"])).rstrip()


lines = [text(row) for row in screen.history.top] + [line.rstrip() for line in screen.display]
while lines and not lines[-1]:
    lines.pop()
print(json.dumps({"text": "".join(line + "\n" for line in lines)}))
