"""Reads every record of Spillway's topics with nothing of Spillway but its schema files, to prove that anybody can.

A record is Avro single-object encoding: the marker C3 01, the schema's CRC-64-AVRO fingerprint (8 bytes, little
endian), the Avro body. Prints as JSON how many records of which schema each topic has; `json` are JSON objects, `void`
is all else without the marker. Exits with 1 when a record with the marker cannot be read, and says which and why.
"""

import argparse
import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from fastavro.schema import fingerprint, to_parsing_canonical_form

MARKER = b"\xc3\x01"
HEADER_BYTES = len(MARKER) + 8
PATIENCE_SECONDS = 30.0


class Record(NamedTuple):
    """A record and where it is, so that a message about it can say so."""

    topic: str
    partition: int
    offset: int
    value: bytes


def load_schemas(folder: Path) -> dict[bytes, Any]:
    """Loads all schemas by fingerprint, in the byte order of a record's header: fastavro prints the lowest first."""
    sources = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.avsc"))]
    if not sources:
        raise ValueError(f"{folder} has no *.avsc file")
    digests = [fingerprint(to_parsing_canonical_form(source), "CRC-64-AVRO") for source in sources]
    return {bytes.fromhex(digest): fastavro.parse_schema(source) for digest, source in zip(digests, sources)}


def kind_without_marker(value: bytes) -> str:
    """Tells JSON objects, which those may write who cannot write Avro, from what Spillway cannot read either."""
    try:
        return "json" if isinstance(json.loads(value), dict) else "void"
    except (ValueError, RecursionError):
        return "void"


def kind_of(value: bytes, schemas: dict[bytes, Any]) -> str:
    """Returns the name of a record's schema, `json` or `void`; ValueError if it has the marker but cannot be read."""
    if not value.startswith(MARKER):
        return kind_without_marker(value)
    if len(value) < HEADER_BYTES:
        raise ValueError(f"it ends in its header: {value.hex()}")
    digest = value[len(MARKER) : HEADER_BYTES]
    if digest not in schemas:
        raise ValueError(f"no schema has its fingerprint {digest.hex()}")
    schema = schemas[digest]
    body = io.BytesIO(value[HEADER_BYTES:])
    try:
        fastavro.schemaless_reader(body, schema, None)
    except Exception as error:  # On wrong bytes fastavro raises almost anything: EOFError, IndexError, MemoryError.
        raise ValueError(f"it does not follow {schema['name']}: {type(error).__name__} {error}") from error
    if rest := len(body.read()):
        raise ValueError(f"bytes are left over after its {schema['name']}: {rest}")
    return schema["name"]


def records_of_file(file: Path, only: list[str] | None) -> list[Record]:
    """Reads JSON lines; for want of a real offset, each record's is its line's number from 0."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    records = [Record(row["topic"], 0, offset, bytes.fromhex(row["hex"])) for offset, row in enumerate(rows)]
    return [record for record in records if only is None or record.topic in only]


def current_ends(consumer: Consumer, only: list[str] | None) -> dict[tuple[str, int], int]:
    """The end of each partition now, lest topics that grow are never read; `__` starts the names of Kafka's own."""
    topics = consumer.list_topics(timeout=PATIENCE_SECONDS).topics
    wanted = [name for name in topics if not name.startswith("__") and (only is None or name in only)]
    places = [TopicPartition(name, partition) for name in wanted for partition in topics[name].partitions]
    return {(at.topic, at.partition): consumer.get_watermark_offsets(at, timeout=PATIENCE_SECONDS)[1] for at in places}


def records_of_partitions(consumer: Consumer, ends: dict[tuple[str, int], int]) -> Iterator[Record]:
    """Reads partitions to their ends, or until the broker says that nothing follows: their last offsets may be void."""
    left = {place for place, end in ends.items() if end > 0}
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in left])
    while left:
        message = consumer.poll(PATIENCE_SECONDS)
        if message is None:
            raise TimeoutError(f"nothing came for {PATIENCE_SECONDS:.0f} s of {sorted(left)}")
        place, error = (message.topic(), message.partition()), message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        if error is None and message.offset() < ends[place]:
            yield Record(*place, message.offset(), message.value() or b"")
        if error is not None or message.offset() + 1 >= ends[place]:
            left.discard(place)


def topics_and_records(asked: argparse.Namespace) -> tuple[set[str], Iterable[Record]]:
    """The topics there are, also those without a record, and all their records."""
    if asked.records is not None:
        records = records_of_file(asked.records, asked.topic)
        return {record.topic for record in records}, records
    # The client insists on a group; this one never gets a member, and no offset is committed.
    options = {"group.id": "read_topics", "enable.auto.commit": False, "enable.partition.eof": True, "log_level": 0}
    consumer = Consumer({"bootstrap.servers": asked.bootstrap, "auto.offset.reset": "earliest", **options})
    ends = current_ends(consumer, asked.topic)
    return {topic for topic, _ in ends}, records_of_partitions(consumer, ends)


def read_all(asked: argparse.Namespace) -> int:
    """Prints how many records of which kind each topic has, and each that cannot be read; returns the exit status."""
    schemas, status = load_schemas(asked.schemas), 0
    topics, records = topics_and_records(asked)
    if missing := set(asked.topic or []) - topics:
        raise ValueError(f"there is no topic {', '.join(sorted(missing))}")
    counts: dict[str, Counter[str]] = {topic: Counter() for topic in topics}
    for record in records:
        try:
            counts[record.topic][kind_of(record.value, schemas)] += 1
        except ValueError as error:
            print(f"topic {record.topic} partition {record.partition} offset {record.offset}: {error}", file=sys.stderr)
            status = 1
    print(json.dumps(counts, sort_keys=True))
    return status


def main() -> int:
    """Returns the exit status, 1 also when the schemas or the brokers cannot be read at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schemas", type=Path, required=True, metavar="DIR", help="the folder of the *.avsc files")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--bootstrap", metavar="HOST:PORT", help="Kafka brokers to read from, separated by commas")
    source.add_argument("--records", type=Path, metavar="FILE", help='JSON lines {"topic":…, "hex":…} to read instead')
    parser.add_argument("--topic", action="append", metavar="T", help="only this topic; may be given again")
    try:
        return read_all(parser.parse_args())
    except (OSError, ValueError, KafkaException) as error:
        print(f"read_topics: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
