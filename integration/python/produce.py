"""Writes a topic with kafka-python: produce.py SETTINGS, a JSON object.

`options` are the producer's; `records` records go to the partitions of `topic` in turn, each with its number as its value.
`token_user`: who logs in with an unsecured token. Prints how many were acknowledged.
"""
import base64
import json
import sys
import time

from kafka import KafkaProducer
from kafka.net.sasl.oauth import AbstractTokenProvider


class UnsecuredTokens(AbstractTokenProvider):
    def __init__(self, user):
        self.user = user

    def token(self):
        now = time.time()
        parts = [{'alg': 'none'}, {'sub': self.user, 'iat': now, 'exp': now + 600}]
        words = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip('=') for part in parts]
        return '.'.join(words) + '.'


def main():
    settings = json.loads(sys.argv[1])
    options = settings['options']
    if settings.get('token_user'):
        options['sasl_oauth_token_provider'] = UnsecuredTokens(settings['token_user'])
    producer = KafkaProducer(linger_ms=20, batch_size=65536, acks='all', **options)
    partitions = len(producer.partitions_for(settings['topic']))
    sent = [producer.send(settings['topic'], str(number).encode(), partition=number % partitions)
            for number in range(settings['records'])]
    producer.flush()
    print(json.dumps({'acknowledged': sum(one.succeeded() for one in sent)}))
    producer.close()


if __name__ == '__main__':
    main()
