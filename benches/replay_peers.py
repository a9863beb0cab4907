"""Players in Python, for the figures of replay: p99 of their jitter in microseconds on standard output.

  replay_peers.py mcap HZ SECONDS FOLDER     mcap of PyPI and time.sleep, as players without a scheduler are written
  replay_peers.py dimos HZ SECONDS FOLDER    dimos of PyPI

Each makes its own recording in FOLDER first, unless it is there, and plays it.

Jitter is |lateness - its median|, lateness against the first frame's time plus the recorded distance.
"""

import pathlib
import sys
import threading
import time

EPOCH = 1704067200.0


def jitter_p99(times, stamps):
    late = sorted((now - times[0]) - (stamp - stamps[0]) for now, stamp in zip(times, stamps))
    middle = late[len(late) // 2]
    away = sorted(abs(value - middle) for value in late)
    return away[(len(away) - 1) * 99 // 100] * 1e6


def mcap(stamps, folder):
    from mcap.reader import make_reader
    from mcap.writer import Writer

    path = pathlib.Path(folder, "peer.mcap")
    if not path.exists():
        with open(path, "wb") as file:
            writer = Writer(file)
            writer.start()
            channel = writer.register_channel("s", "json", 0)
            for number, stamp in enumerate(stamps):
                nanos = round(stamp * 1e9)
                writer.add_message(channel, log_time=nanos, publish_time=nanos, data=b"%d" % number)
            writer.finish()
    times, start, first = [], None, None
    with open(path, "rb") as file:
        for _, _, message in make_reader(file).iter_messages():
            stamp = message.log_time / 1e9
            if start is None:
                start, first = time.monotonic(), stamp
            pause = start + stamp - first - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            times.append(time.monotonic())
    return times


def dimos(stamps, folder):
    from dimos.memory.store.sqlite import SqliteStore
    from dimos.msgs.std_msgs.String import String

    path = pathlib.Path(folder, "peer.db")
    if not path.exists():
        with SqliteStore(path=str(path)) as store:
            stream = store.stream("s", String)
            for number, stamp in enumerate(stamps):
                stream.append(String(f"frame {number}"), ts=stamp)
    times, done = [], threading.Event()
    with SqliteStore(path=str(path), must_exist=True) as store:
        played = store.replay().stream("s").observable()
        played.subscribe(lambda _: times.append(time.monotonic()), on_completed=done.set)
        done.wait()
    return times


if __name__ == "__main__":
    mode, hz, seconds, folder = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    stamps = [EPOCH + number / hz for number in range(round(hz * seconds))]
    played = {"mcap": mcap, "dimos": dimos}[mode](stamps, folder)
    assert len(played) == len(stamps), f"{len(played)} of {len(stamps)} frames came"
    print(jitter_p99(played, stamps))
