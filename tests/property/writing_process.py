"""A process that writes a trace whose values follow from the record id, and acknowledges each record in a file.

python writing_process.py TRACE ACKNOWLEDGED RECORDS SEAL_EVERY [SECONDS_BETWEEN]
"""

from __future__ import annotations

import os
import sys
import time

import ml_dtypes
import numpy as np

from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

FIELDS = {
    "weights": FieldSchema("weights", ("time", "slot")),
    "usage": FieldSchema("usage", ("time", "slot"), "bfloat16"),
    "final/count": FieldSchema("final/count", (), "int64"),
}


def values(record: int) -> dict[str, np.ndarray]:
    """The fields of a record. Odd hundreds have other slots, so that sealing meets several layouts."""
    times, slots = 1 + record % 7, 64 + 32 * (record // 50 % 2)
    weights = np.arange(times * slots, dtype=np.float32).reshape(times, slots) + record
    weights[0, 0] = np.nan
    return {
        "memory/weights": weights,
        "memory/usage": (weights / 7).astype(ml_dtypes.bfloat16),
        "memory/final/count": np.array(record * 3),
    }


def main() -> None:
    path, acknowledged, count, seal_every = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    pause = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0
    header = TraceHeader("", time.time(), "run", memories={"memory": MemorySchema("memory", fields=FIELDS)})
    writer = TraceWriter.create(path, header, resume=True, seal_every=seal_every)
    log = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(count):
        record = writer.records
        data = RecordData(record * 10, values(record), time.time(), forward=record, labels={"record": record})
        assert writer.append(data) == record
        writer.log(record * 10, {"loss": 1.0 / (record + 1)})
        os.write(log, b"%d\n" % record)
        if pause:
            time.sleep(pause)
    writer.close()


if __name__ == "__main__":
    main()
