"""Appends rows to ten chunked datasets one at a time, as recorders with h5py do. Prints frames per second.

usage: h5py_rows.py FILE
"""

import sys
import time

import h5py

ROWS = 2000
COLUMNS = 10

with h5py.File(sys.argv[1], "w", libver="latest") as file:
    datasets = [file.create_dataset(f"c{column}", (0,), "f8", maxshape=(None,), chunks=(1024,)) for column in range(COLUMNS)]
    timestamps = file.create_dataset("timestamps", (0,), "f8", maxshape=(None,), chunks=(1024,))
    begin = time.perf_counter()
    for row in range(ROWS):
        for column, dataset in enumerate(datasets):
            dataset.resize((row + 1,))
            dataset[row] = float(row + column)
        timestamps.resize((row + 1,))
        timestamps[row] = time.time()
    seconds = time.perf_counter() - begin
print(ROWS / seconds)
