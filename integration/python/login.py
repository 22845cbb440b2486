"""Logs in with kafka-python, writes a topic and reads it: login.py BOOTSTRAP MECHANISM USER PASSWORD

Prints how many records were read, or the error that kept it from that.
"""
import json
import sys

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

servers, mechanism, user, password = sys.argv[1:]
OPTIONS = dict(bootstrap_servers=servers.split(','), security_protocol='SASL_PLAINTEXT', sasl_mechanism=mechanism,
               sasl_plain_username=user, sasl_plain_password=password, bootstrap_timeout_ms=3000)


try:
    producer = KafkaProducer(**OPTIONS)
    for number in range(10):
        producer.send('t', mechanism.encode()).get(10)
    producer.close()
    consumer = KafkaConsumer('t', group_id=f'python-{mechanism}', auto_offset_reset='earliest', consumer_timeout_ms=1000, **OPTIONS)
    print(json.dumps({'read': sum(record.value == mechanism.encode() for record in consumer)}))
    consumer.close()
except KafkaError as error:
    print(json.dumps({'error': type(error).__name__}))
