"""The lines of the recording guide, unchanged, on the HDF5 file that is named."""

import contextlib
import io
import json
import sys

import h5py

printed = io.StringIO()
with contextlib.redirect_stdout(printed), h5py.File(sys.argv[1], "r") as f:
    # List attributes
    print("Attributes:", list(f.keys()))

    # Read health data
    health = f["health"][:]
    timestamps = f["timestamps"][:]

    # Analyze
    print(f"Frames: {len(health)}")
    print(f"Duration: {timestamps[-1] - timestamps[0]:.2f}s")
    print(f"Min health: {health.min()}")
    print(f"Max health: {health.max()}")
    print(f"Avg health: {health.mean():.1f}")
    result = {
        "attributes": list(f.keys()),
        "frames": len(health),
        "duration": float(timestamps[-1] - timestamps[0]),
        "health_type": str(health.dtype),
        "root": {key: str(value) for key, value in f.attrs.items()},
    }
result["printed"] = printed.getvalue()
print(json.dumps(result))
