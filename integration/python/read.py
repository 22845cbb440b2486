"""Reads a whole topic with kafka-python: read.py BOOTSTRAP TOPIC [--partition N] [--dump FILE]

Prints what the Java reader answers: a digest per partition (Canonical.java says of which bytes).
"""
import argparse
import hashlib
import json
import struct

from kafka import KafkaConsumer, TopicPartition


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('bootstrap')
    parser.add_argument('topic')
    parser.add_argument('--partition', type=int)
    parser.add_argument('--dump')
    arguments = parser.parse_args()
    print(json.dumps({'partitions': read(arguments)}))


def read(arguments):
    consumer = KafkaConsumer(bootstrap_servers=arguments.bootstrap.split(','), auto_offset_reset='earliest',
                             max_poll_records=5000)
    numbers = consumer.partitions_for_topic(arguments.topic)
    partitions = [TopicPartition(arguments.topic, number) for number in sorted(numbers)
                  if arguments.partition in (None, number)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    found = {partition.partition: Partition() for partition in partitions}
    with open(arguments.dump or '/dev/null', 'w') as dump:
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for partition, records in consumer.poll(timeout_ms=500).items():
                for record in records:
                    if record.offset >= ends[partition]:
                        break
                    found[partition.partition].add(record)
                    if arguments.dump:
                        print(line(record), file=dump)
    consumer.close()
    return [dict(partition=number, **partition.answer()) for number, partition in found.items()]


class Partition:
    def __init__(self):
        self.records, self.appended, self.first, self.last, self.digest = 0, 0, -1, -1, hashlib.sha256()

    def add(self, record):
        self.digest.update(canonical(record))
        if not self.records:
            self.first = record.offset
        self.last = record.offset
        self.records += 1
        self.appended += record.timestamp_type == 1

    def answer(self):
        return {'records': self.records, 'appended': self.appended, 'first': self.first, 'last': self.last,
                'digest': self.digest.hexdigest()}


def canonical(record):
    parts = [struct.pack('>iqqb', record.partition, record.offset, record.timestamp, record.timestamp_type),
             field(record.key), field(record.value), struct.pack('>i', len(record.headers))]
    for name, value in record.headers:
        parts += [field(name.encode()), field(value)]
    return b''.join(parts)


def field(value):
    return struct.pack('>i', -1) if value is None else struct.pack('>i', len(value)) + value


def line(record):
    words = [str(word) for word in (record.partition, record.offset, record.timestamp, record.timestamp_type)]
    words += [text(record.key), text(record.value)]
    words += [f'{text(name.encode())}={text(value)}' for name, value in record.headers]
    return ' '.join(words)


def text(value):
    if value is None:
        return 'null'
    if len(value) <= 64:
        return f"'{value.hex()}'"
    return f'{len(value)}:{hashlib.sha256(value).hexdigest()[:16]}'


if __name__ == '__main__':
    main()
