"""What asciinema 2.4 finds in a version 2 file, as JSON: size, events by code, duration, and the output."""

import collections
import json
import sys

from asciinema import asciicast

with asciicast.open_from_url(sys.argv[1]) as cast:
    codes, output, last = collections.Counter(), [], 0.0
    for time, code, data in cast.events():
        assert time >= last, (time, last)
        codes[code], last = codes[code] + 1, time
        if code == "o":
            output.append(data)
    header = cast.v2_header
    assert all(isinstance(value, str) for value in header.get("env", {}).values())
    print(json.dumps({"width": header["width"], "height": header["height"], "codes": codes, "duration": last,
                      "text": "".join(output)}, sort_keys=True))
