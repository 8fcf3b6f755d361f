"""A writer and a reader of ./dev chaos on kafka-python. See ../../../Ottla.Chaos/README.md for the contract.

This version of the client has no idempotent producer: it sends each batch once, one at a time, and what fails is in doubt.
"""
import logging
import os
import select
import sys
import threading
import time

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, NotEnoughReplicasError
from kafka.structs import OffsetAndMetadata

IN_FLIGHT_MAX = 200
COMMIT_EVERY_S = 0.2
LATE_S = 1
REQUEST_TIMEOUT_MS = 10000
CLOSE_TIMEOUT_S = 60

printing = threading.Lock()


def tell(*words):
    with printing:
        print(*words, flush=True)


def options(bootstrap):
    return {
        "bootstrap_servers": bootstrap.split(","), "client_id": "chaos-kafka-python", "api_version": (2, 4, 0),
        "reconnect_backoff_ms": 50, "reconnect_backoff_max_ms": 500, "retry_backoff_ms": 50}


def is_input_at_end():
    return bool(select.select([sys.stdin], [], [], 0)[0]) and not os.read(sys.stdin.fileno(), 64)


def name_of(error):
    return type(error).__name__


def write(bootstrap, topic, partitions, first_value, per_second, padding):
    producer = KafkaProducer(
        acks="all", linger_ms=2, retries=0, max_in_flight_requests_per_connection=1, request_timeout_ms=REQUEST_TIMEOUT_MS,
        **options(bootstrap))
    room = threading.BoundedSemaphore(IN_FLIGHT_MAX)

    def on_success(partition, value, sent):
        def told(metadata):
            room.release()
            tell("ok", partition, value, metadata.offset, int(sent * 1e6), int(time.time() * 1e6))
        return told

    def on_failure(partition, value):
        def told(error):
            room.release()
            # Only this one says that nothing was appended.
            tell("fail" if isinstance(error, NotEnoughReplicasError) else "doubt", partition, value, name_of(error))
        return told

    count, due = 0, time.time()
    while not is_input_at_end():
        if time.time() < due:
            time.sleep(due - time.time())
        if not room.acquire(timeout=0.1):
            continue
        due = max(due + 1 / int(per_second), time.time() - LATE_S)
        partition, value, sent = count % int(partitions), int(first_value) + count, time.time()
        count += 1
        tell("send", partition, value)
        try:
            future = producer.send(topic, value=f"{value} {'0' * int(padding)}".encode("ascii"), partition=partition)
        except KafkaError as error:  # no metadata: it was not even queued
            room.release()
            tell("fail", partition, value, name_of(error))
            continue
        future.add_callback(on_success(partition, value, sent)).add_errback(on_failure(partition, value))
    producer.flush(CLOSE_TIMEOUT_S)
    producer.close(CLOSE_TIMEOUT_S)


class TellsAssignments(ConsumerRebalanceListener):
    def __init__(self, positions):
        self.positions = positions

    def on_partitions_revoked(self, revoked):
        tell("revoke", *sorted(partition.partition for partition in revoked))
        self.positions.clear()

    def on_partitions_assigned(self, assigned):
        tell("assign", *sorted(partition.partition for partition in assigned))


def commit(consumer, positions):
    if not positions:
        return
    try:
        consumer.commit({partition: OffsetAndMetadata(offset, "") for partition, offset in positions.items()})
        for partition, offset in positions.items():
            tell("commit", partition.partition, offset)
    except KafkaError as error:  # whoever reads the records next commits them
        for partition, offset in positions.items():
            tell("uncommitted", partition.partition, offset, name_of(error))
    positions.clear()


def read(bootstrap, topic, partitions, group):
    is_member = group != "-"
    consumer = KafkaConsumer(
        group_id=group if is_member else None, auto_offset_reset="earliest" if is_member else "none", enable_auto_commit=False,
        session_timeout_ms=6000, heartbeat_interval_ms=500, check_crcs=True, fetch_max_wait_ms=200, metadata_max_age_ms=5000,
        **options(bootstrap))
    positions = {}
    if is_member:
        consumer.subscribe([topic], listener=TellsAssignments(positions))
    else:
        consumer.assign([TopicPartition(topic, partition) for partition in range(int(partitions))])
        consumer.seek_to_beginning()
    committed = time.time()
    while not is_input_at_end():
        try:
            for partition, records in consumer.poll(timeout_ms=50).items():
                for record in records:
                    tell("poll", record.partition, record.offset, record.value.split(b" ", 1)[0].decode("ascii"))
                    positions[partition] = record.offset + 1
        except KafkaError as error:
            tell("error", name_of(error))
            time.sleep(0.1)
        if is_member and time.time() - committed > COMMIT_EVERY_S:
            commit(consumer, positions)
            committed = time.time()
    if is_member:
        commit(consumer, positions)
    consumer.close(autocommit=False)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    {"write": write, "read": read}[sys.argv[1]](*sys.argv[2:])
