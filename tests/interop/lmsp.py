"""Recordings of events as a Python program has them: dataclasses that are pickled and written as JSON, in the three forms of the format.

  lmsp.py make FOLDER COUNT    writes rec.lmsp.gz, rec.json and rec.bin
  lmsp.py read FILE            prints what the program reads of any of them

The binary form has no place for final_code and final_time; what stands behind its checkpoints is passed over, as its reader does.
"""
import dataclasses, enum, gzip, json, pickle, random, struct, sys, types

TYPES = ("keystroke button_press button_release trigger_pressure stick_move challenge_start challenge_complete test_run test_pass test_fail "
         "emotional_prompt emotional_response recommendation concept_unlock mastery_level_up player_join player_leave player_message checkpoint "
         "rewind speed_change").split()
STATE = ("current_code cursor_position ast_tree challenge_id challenge_started_at tests_passing tests_total hints_used player_id mastery_levels "
         "current_emotion session_duration challenges_completed concepts_mastered other_players").split()

EventType = enum.Enum("EventType", {name.upper(): name for name in TYPES}, module="lmsp.tas")
GameEvent = dataclasses.make_dataclass("GameEvent", ["type", "player_id", "data"], namespace={"__module__": "lmsp.tas"})
GameState = dataclasses.make_dataclass("GameState", STATE, namespace={"__module__": "lmsp.tas"})
RecordedEvent = dataclasses.make_dataclass("RecordedEvent", ["timestamp", "event", "game_state"], namespace={"__module__": "lmsp.tas"})
module = types.ModuleType("lmsp.tas")
sys.modules.update({"lmsp": types.ModuleType("lmsp"), "lmsp.tas": module})
for made in (EventType, GameEvent, GameState, RecordedEvent):
    setattr(module, made.__name__, made)


def state(n):
    return GameState("def f():\n    return 'é日😀'\n" + "#" * (n % 9), (n // 7, n % 80), None if n % 3 else {"type": "Module", "body": [n]}, "add",
                     12.5, n % 4, 4, n // 40, "wings", {"lists": n // 10}, None if n % 4 else ("enjoyment", 0.125), n * 0.05, ["a"] * (n // 60), [],
                     [{"id": "p2"}] if n % 5 == 0 else [])


def recording(count):
    rng, at, events = random.Random(7), 0.0, []
    for n in range(count):
        at += rng.random()
        data = {"char": "dé😀"[n % 3], "n": n, "large": 2**70 * n, "none": None, "nested": [[], {}, {"x": -1.5e-7}], 7: True}
        events.append(RecordedEvent(at, GameEvent(EventType(TYPES[n % len(TYPES)]), "wings", data), state(n)))
    facts = {"player_id": "wings", "challenge_id": "add", "created_at": 1764547200.25, "duration": at, "success": True}
    return facts, events, {"start": 0, "é": count // 2}


def as_json(facts, events, checkpoints, final):
    def event(e):
        said = {"type": e.event.type.value, "player_id": e.event.player_id, "data": e.event.data}
        return {"timestamp": e.timestamp, "event": said, "game_state": dict(e.game_state.__dict__)}
    head = {"version": "1.0.0", **{key: facts[key] for key in ("player_id", "challenge_id", "created_at")}}
    tail = {"duration": facts["duration"], "success": facts["success"], **final}
    return {**head, "events": [event(e) for e in events], "checkpoints": checkpoints, **tail}


def make(folder, count):
    facts, events, checkpoints = recording(count)
    made = as_json(facts, events, checkpoints, {"final_code": "print('ok')\n", "final_time": facts["duration"]})
    with gzip.open(f"{folder}/rec.lmsp.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(made, separators=(",", ":")))
    with open(f"{folder}/rec.json", "w", encoding="utf-8") as file:
        json.dump(made, file, indent=2)
    with open(f"{folder}/rec.bin", "wb") as file:
        blocks = [pickle.dumps(value) for value in (facts, *events, checkpoints)]
        sized = [struct.pack("<I", len(block)) + block for block in blocks]
        file.write(b"LMSP" + struct.pack("<I", 1) + sized[0] + struct.pack("<I", count) + b"".join(sized[1:]))


def read_binary(bytes):
    at = 8

    def block():
        nonlocal at
        length = struct.unpack_from("<I", bytes, at)[0]
        at += 4 + length
        return pickle.loads(bytes[at - length:at])
    assert struct.unpack_from("<I", bytes, 4)[0] == 1
    facts = block()
    count = struct.unpack_from("<I", bytes, at)[0]
    at += 4
    events = [block() for _ in range(count)]
    # A tuple is one, not a list: the program's own types.
    assert all(type(e.game_state.cursor_position) is tuple and type(e.event.type) is EventType for e in events)
    return as_json(facts, events, block(), {})


def read(path):
    with open(path, "rb") as file:
        bytes = file.read()
    if bytes[:4] == b"LMSP":
        return read_binary(bytes)
    return json.loads(gzip.decompress(bytes) if bytes[:2] == b"\x1f\x8b" else bytes)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]))
        print("{}")
    else:
        print(json.dumps(read(sys.argv[2])))
