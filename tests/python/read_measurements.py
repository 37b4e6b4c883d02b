"""Reads batches of measurements with nothing of Spillway but its schema file, and prints each measurement as a JSON line.

Input are lines that hold a record each in hexadecimal. A record is Avro single-object encoding: the marker C3 01, the schema's
fingerprint (8 bytes), the Avro body. The schema says what the columns mean.
"""

import argparse
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro

HEADER_BYTES = 10
TRIED = ["response_time", "available_bandwidth", "both"]
OUTCOMES = ["ok", "failed", "refused", "cut_off"]
OPTIONAL = ["response_time_us", "throughput_bps", "bytes", "resolve_us", "connect_us", "tls_us", "first_byte_us", "last_byte_us"]


def numbers(column: bytes, count: int) -> list[int]:
    """The numbers of a column: unsigned, little-endian, all of one width; of width 0 they are all 0."""
    width = len(column) // count if count else 0
    return [int.from_bytes(column[index * width : (index + 1) * width], "little") for index in range(count)]


def measurements(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The measurements of a batch, in its order."""
    count = len(batch["outcome"])
    series_count = len(batch["series_site"]) // 2
    parts = ["site", "target", "agent", "network"]
    series = list(zip(*(numbers(batch[f"series_{part}"], series_count) for part in parts)))
    of, after = numbers(batch["series"], count), numbers(batch["after_first_us"], count)
    optional = {field: numbers(batch[field], count) for field in OPTIONAL}
    errors = numbers(batch["error"], count)
    for index in range(count):
        row: dict[str, Any] = {"source": batch["source"], "boot": batch["boot"], "sequence": batch["sequence"]}
        row |= {part: batch["names"][name] for part, name in zip(parts, series[of[index]])}
        row["at_us"] = batch["first_at_us"] + after[index]
        row["tried"], row["outcome"] = TRIED[batch["outcome"][index] >> 4], OUTCOMES[batch["outcome"][index] & 15]
        row |= {field: column[index] - 1 if column[index] else None for field, column in optional.items()}
        row["error"] = batch["errors"][errors[index] - 1] if errors[index] else None
        yield row


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schema", type=Path, help="measurement_batch.v1.avsc")
    schema = fastavro.parse_schema(json.loads(parser.parse_args().schema.read_text(encoding="utf-8")))
    for line in sys.stdin:
        body = io.BytesIO(bytes.fromhex(line)[HEADER_BYTES:])
        batch = fastavro.schemaless_reader(body, schema, None)
        for row in measurements(batch):
            print(json.dumps(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
