"""Makes records_v2.txt, batches of magic 2 as kafka-python encodes them, one a line: name, hexadecimal bytes.

pip install kafka-python==3.0.12 crc32c lz4 zstandard python-snappy
python tests/vectors/records_generate.py > tests/vectors/records_v2.txt
"""
from kafka.record.default_records import DefaultRecordBatchBuilder


def batch(codec, transactional=False):
    producer = (4000, 5, 6) if transactional else (-1, -1, -1)
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=transactional, producer_id=producer[0],
        producer_epoch=producer[1], base_sequence=producer[2], batch_size=1 << 20)
    builder.append(0, 1700000000000, b"key", b"value", [])
    builder.append(1, 1700000000123, None, b"", [("trace", b"17"), ("null", None), ("trace", "\u00fc".encode())])
    builder.append(2, 1699999999999, b"", None, [])
    for offset in range(3, 20):
        builder.append(offset, 1700000001000 + offset, b"k%d" % offset, b"a value that repeats itself " * 10, [])
    return bytes(builder.build())


for codec, name in enumerate(["none", "gzip", "snappy", "lz4", "zstd"]):
    print(name, batch(codec).hex())
print("transactional", batch(0, transactional=True).hex())
