"""Makes a topic, writes it in every way, reads it in a group, and deletes it, with kafka-python: in_process.py BOOTSTRAP

Prints what came of it.
"""
import collections
import json
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

TOPIC = 'made'
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
    said = {'read': read(servers), 'groups': [group['group_id'] for group in admin.list_groups()]}
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


main()
