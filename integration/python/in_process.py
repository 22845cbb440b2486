"""Makes a topic, writes it in every way, reads it in a group, and deletes it, with kafka-python: in_process.py BOOTSTRAP

Prints what came of it.
"""
import collections
import json
import sys
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

TOPIC = 'made'
# By a reader of what is not committed, too: 30 records in each way, and three transactions.
READABLE = 90 + 15
WAYS = {
    'one': dict(acks=1, enable_idempotence=False, compression_type='gzip'),
    'none': dict(acks=0, enable_idempotence=False),
    'all': dict(acks='all', enable_idempotence=True),
}


def main():
    servers = sys.argv[1].split(',')
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(TOPIC, 3, 1)])
    for name, options in WAYS.items():
        write(KafkaProducer(bootstrap_servers=servers, **options), name)
    transact(KafkaProducer(bootstrap_servers=servers, transactional_id='x'))
    said = {'read': read(servers), 'shared': share(servers),
            'groups': sorted(group['group_id'] for group in admin.list_groups())}
    admin.delete_topics([TOPIC])
    said['topics'] = admin.list_topics()
    print(json.dumps(said))


def write(producer, value):
    sent = [producer.send(TOPIC, value.encode(), partition=number % 3) for number in range(30)]
    for one in sent:
        one.get(10)
    producer.close()


def transact(producer):
    producer.init_transactions()
    for commits in (True, False, True):
        producer.begin_transaction()
        for _ in range(5):
            producer.send(TOPIC, b'committed' if commits else b'aborted', partition=0)
        producer.flush()
        producer.commit_transaction() if commits else producer.abort_transaction()
    producer.close()


def read(servers):
    consumer = KafkaConsumer(TOPIC, bootstrap_servers=servers, group_id='g', auto_offset_reset='earliest',
                             isolation_level='read_committed', consumer_timeout_ms=3000)
    values = collections.Counter(record.value.decode() for record in consumer)
    consumer.close()
    return values


def share(servers):
    """Two members share the topic, one leaves, and another goes on where they were: how many records each time."""
    write(KafkaProducer(bootstrap_servers=servers), 'shared')
    first, second = member(servers), member(servers)
    counts = [poll([first, second], lambda got: first.assignment() and second.assignment() and got >= READABLE + 30)]
    second.close()
    poll([first], lambda _: len(first.assignment()) == 3)
    write(KafkaProducer(bootstrap_servers=servers), 'one member')
    counts.append(poll([first], lambda got: got >= 30))
    first.commit()
    first.close()
    write(KafkaProducer(bootstrap_servers=servers), 'a new member')
    third = member(servers)
    counts.append(poll([third], lambda got: got >= 30))
    third.close()
    return counts


def member(servers):
    return KafkaConsumer(TOPIC, bootstrap_servers=servers, group_id='shared', auto_offset_reset='earliest')


def poll(members, done):
    """Polls these until it is done, and gives how many records came.

    Each has a thread of its own: the first joins again while the second waits for it. A poll that ends in the middle of that
    can leave a member of kafka-python 3.0.12 without an assignment for good, so none is short.
    """
    counts, stop = [], threading.Event()

    def run(one):
        while not stop.is_set():
            counts.append(sum(len(records) for records in one.poll(timeout_ms=2000).values()))

    threads = [threading.Thread(target=run, args=[one]) for one in members]
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + 30
        while not done(sum(counts)):
            if time.monotonic() > end:
                raise TimeoutError(f'{sum(counts)} records, {[sorted(m.assignment()) for m in members]}')
            time.sleep(0.02)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return sum(counts)


main()
