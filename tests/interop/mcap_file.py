"""Reads or writes an MCAP file with the packages of its makers.

usage: mcap_file.py read FILE            every message in the order of the file, and what else is in it, as JSON; checksums are checked
       mcap_file.py doctor FILE...       what `pymcap-cli doctor` says of each: {FILE: {"code": 0, "said": ...}}
       mcap_file.py write FOLDER         files that ours must read: chunked or not, with and without indexes, overlapping
"""

import contextlib
import io
import json
import pathlib
import sys


def read(path):
    from mcap.reader import make_reader, NonSeekingReader
    from mcap_protobuf.decoder import DecoderFactory

    factory = DecoderFactory()
    messages = []
    with open(path, "rb") as file:
        reader = make_reader(file, validate_crcs=True)
        for schema, channel, message in reader.iter_messages(log_time_order=False):
            row = {
                "topic": channel.topic,
                "encoding": channel.message_encoding,
                "schema": schema.name if schema else "",
                "sequence": message.sequence,
                "log_time": message.log_time,
                "publish_time": message.publish_time,
                "data": message.data.hex(),
            }
            if channel.message_encoding == "protobuf":
                row["fields"] = sorted(
                    field.name for field, _ in factory.decoder_for("protobuf", schema)(message.data).ListFields()
                )
            if channel.message_encoding == "json" and schema:
                row["fields"] = sorted(json.loads(message.data))
            messages.append(row)
        summary = reader.get_summary()
    with open(path, "rb") as file:
        # From front to end, without the summary.
        linear = sum(1 for _ in NonSeekingReader(file, validate_crcs=True).iter_messages(log_time_order=False))
    with open(path, "rb") as file:
        reader = make_reader(file)
        attachments = {found.name: found.data.decode() for found in reader.iter_attachments()}
        metadata = [found.name for found in reader.iter_metadata()]
    return {
        "messages": messages,
        "linear": linear,
        "statistics": summary.statistics.message_count,
        "chunks": len(summary.chunk_indexes),
        "attachments": attachments,
        "metadata": metadata,
    }


def doctor(*paths):
    from pymcap_cli.cmd.doctor_cmd import doctor as examine

    said = {}
    for path in paths:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = examine(path, format="jsonl")
        said[path] = {"code": code, "said": out.getvalue()}
    return said


ODOMETRY = "float64 x\nfloat64 y\n"


def write_one(path, shuffled, **options):
    """100 messages on each of two topics with schemas of ROS 2, and 10 of one without, 1 ms apart."""
    from mcap.writer import Writer

    with open(path, "wb") as file:
        writer = Writer(file, chunk_size=2000, **options)
        writer.start(profile="ros2", library="somebody else")
        odometry = writer.register_schema("nav_msgs/msg/Odometry", "ros2msg", ODOMETRY.encode())
        image = writer.register_schema("sensor_msgs/msg/Image", "ros2idl", b"\x00\xff")
        qos = {"offered_qos_profiles": "- history: 3"}
        channels = [
            writer.register_channel("/odom", "cdr", odometry, qos),
            writer.register_channel("/camera/image", "cdr", image),
            writer.register_channel("/odom", "cdr", odometry, {"publisher": "second"}),
        ]
        bare = writer.register_channel("plain", "json", 0)
        order = range(100)
        if shuffled:
            # Each chunk reaches back behind the one before.
            order = sorted(order, key=lambda number: number + (25 if number % 2 else 0))
        for number in order:
            at = 1_700_000_000_000_000_000 + number * 1_000_000
            for offset, channel in enumerate(channels[: 2 if number < 50 else 3]):
                data = bytes([number, offset]) * 20
                writer.add_message(channel, log_time=at, data=data, publish_time=at - 5 * offset, sequence=0)
            if number % 10 == 0:
                writer.add_message(bare, log_time=at, data=b"{}", publish_time=0)
        writer.add_attachment(1, 2, "note", "text/plain", b"hello")
        writer.add_metadata("made", {"by": "hand"})
        writer.finish()


def write(folder):
    from mcap.writer import CompressionType, IndexType

    folder = pathlib.Path(folder)
    kinds = {
        "zstd": {},
        "lz4": {"compression": CompressionType.LZ4},
        "plain": {"compression": CompressionType.NONE},
        "unchunked": {"use_chunking": False},
        "unindexed": {"index_types": IndexType.NONE},
        "no-message-index": {"index_types": IndexType.CHUNK},
        "unrepeated": {"repeat_channels": False, "repeat_schemas": False},
        "bare": {
            "index_types": IndexType.NONE,
            "repeat_channels": False,
            "repeat_schemas": False,
            "use_statistics": False,
            "use_summary_offsets": False,
        },
    }
    for name, options in kinds.items():
        write_one(folder / f"{name}.mcap", False, **options)
        write_one(folder / f"{name}-overlapping.mcap", True, **options)
    return sorted(path.name for path in folder.iterdir())


print(json.dumps({"read": read, "doctor": doctor, "write": write}[sys.argv[1]](*sys.argv[2:])))
