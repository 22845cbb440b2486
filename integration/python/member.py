"""A member of a group by kafka-python: member.py SETTINGS, a JSON object.

Says on standard output what happens to it, an event a line, and obeys lines on standard input: "quit", "pause"
(poll no more) and "resume". It ends with its standard input. README.md lists settings and events.
"""
import json
import logging
import os
import sys
import threading
import time

from kafka import KafkaConsumer
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import CommitFailedError, RebalanceInProgressError
from kafka.structs import OffsetAndMetadata, TopicPartition

ASSIGNORS = {'range': RangePartitionAssignor, 'roundrobin': RoundRobinPartitionAssignor,
             'sticky': StickyPartitionAssignor, 'cooperative-sticky': CooperativeStickyAssignor}
SHARED = ['auto_commit_interval_ms', 'max_poll_records', 'max_poll_interval_ms', 'session_timeout_ms',
          'heartbeat_interval_ms']


class Member(AsyncConsumerRebalanceListener):
    """The listener runs on kafka-python's own thread, while the caller waits in poll or close."""

    def __init__(self, settings):
        self.settings, self.mode = settings, settings['commit']
        self.quit, self.paused, self.speaking = False, False, threading.Lock()
        self.pending = {}       # what was handed out and is not yet committed: the offset after the last one
        self.consumer = KafkaConsumer(
            bootstrap_servers=settings['servers'].split(','), group_id=settings['group'],
            group_instance_id=settings.get('instance'), auto_offset_reset='earliest',
            partition_assignment_strategy=[ASSIGNORS[name] for name in settings['assignors']],
            enable_auto_commit=self.mode == 'auto', reconnect_backoff_max_ms=200,
            **{name: settings[name] for name in SHARED})

    def run(self):
        threading.Thread(target=self.obey, daemon=True).start()
        self.say('started')
        self.consumer.subscribe(topics=self.settings['topics'], listener=self)
        while not self.quit:
            if self.paused:
                time.sleep(0.005)
                continue
            self.process(self.consumer.poll(timeout_ms=self.settings['poll_ms']))
            if self.mode == 'batch':
                self.commit(self.pending)
        self.commit(self.pending)
        self.say('closing')
        self.consumer.close()
        self.say('closed')

    def process(self, polled):
        for partition, records in polled.items():
            for record in records:
                self.say('record', topic=record.topic, partition=record.partition, offset=record.offset,
                         value=record.value.decode(), generation=self.generation())
                if self.settings['process_ms']:
                    time.sleep(self.settings['process_ms'] / 1000)
                if self.mode in ('record', 'batch'):
                    self.pending[partition] = record.offset + 1
                if self.mode == 'record':
                    self.commit([partition])
                if self.quit and self.mode != 'auto':       # auto commit commits the whole of what poll returned
                    return

    def commit(self, partitions):
        """Commits what is pending of these; what cannot be committed now stays pending until it is, or is lost."""
        offsets = {partition: self.pending[partition] for partition in partitions if partition in self.pending}
        if not offsets:
            return
        self.say('committing', offsets=triples(offsets))
        try:
            self.consumer.commit({partition: OffsetAndMetadata(offset, '', -1) for partition, offset in offsets.items()})
        except (CommitFailedError, RebalanceInProgressError) as failure:
            self.say('commit_failed', offsets=triples(offsets), **{'class': type(failure).__name__})
            return
        self.committed(offsets)

    def committed(self, offsets):
        self.say('committed', offsets=triples(offsets))
        for partition in offsets:
            del self.pending[partition]

    async def on_partitions_assigned(self, assigned):
        at = time.monotonic_ns()
        known = await self.coordinator().fetch_committed_offsets_async(assigned)
        self.say('assigned', at=at, partitions=pairs(assigned), generation=self.generation(),
                 offsets=triples({partition: offset.offset for partition, offset in known.items()}))

    async def on_partitions_revoked(self, revoked):
        offsets = {partition: self.pending[partition] for partition in revoked if partition in self.pending}
        if offsets:
            self.say('committing', offsets=triples(offsets))
            wanted = {partition: OffsetAndMetadata(offset, '', -1) for partition, offset in offsets.items()}
            try:
                await self.coordinator()._commit_offsets_sync_async(wanted)
                self.committed(offsets)
            except (CommitFailedError, RebalanceInProgressError) as failure:
                self.say('commit_failed', offsets=triples(offsets), **{'class': type(failure).__name__})
        self.gone('revoked', revoked)

    async def on_partitions_lost(self, lost):
        self.gone('lost', lost)

    def gone(self, how, partitions):
        for partition in partitions:
            self.pending.pop(partition, None)
        self.say(how, partitions=pairs(partitions), generation=self.generation())

    def coordinator(self):
        """What a listener can await has no public name yet."""
        return self.consumer._coordinator

    def generation(self):
        return self.consumer.group_metadata().generation_id

    def say(self, event, at=None, **fields):
        line = json.dumps({'at': at or time.monotonic_ns(), 'event': event, **fields})
        with self.speaking:
            print(line, flush=True)

    def obey(self):
        for line in sys.stdin:
            self.quit = self.quit or line == 'quit\n'
            self.paused = line == 'pause\n'
        os._exit(2)             # whoever started us is gone


def pairs(partitions):
    return [[topic, partition] for topic, partition in sorted(partitions)]


def triples(offsets):
    return [[partition.topic, partition.partition, offset] for partition, offset in sorted(offsets.items())]


def main():
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(name)s %(message)s')
    member = Member(json.loads(sys.argv[1]))
    try:
        member.run()
    except Exception as failure:
        logging.exception('the member failed')
        member.say('error', message=str(failure), **{'class': type(failure).__name__})
        status = 1
    else:
        status = 0
    sys.stderr.flush()
    os._exit(status)


if __name__ == '__main__':
    main()
