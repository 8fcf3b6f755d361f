"""The driver for kafka-python. See ../../README.md for the contract.

KAFKA_PYTHON_API_VERSION ("1.0.0", "2.4.0") pins the request versions; without it the client asks the broker.
KAFKA_PYTHON_ASSIGNORS ("range,roundrobin") are the assignors of a group's member; without it the client's own.
"""
import base64
import json
import logging
import os
import select
import sys

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import KafkaError, for_code
from kafka.structs import OffsetAndMetadata

TIMEOUT_S = 30
ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}


def options(bootstrap):
    pinned = os.environ.get("KAFKA_PYTHON_API_VERSION")
    version = tuple(int(part) for part in pinned.split(".")) if pinned else None
    return {"bootstrap_servers": bootstrap, "api_version": version}


def encode(data):
    return None if data is None else base64.b64encode(data).decode("ascii")


def decode(text):
    return None if text is None else base64.b64decode(text)


def create_topic(bootstrap, topic, partitions):
    admin = KafkaAdminClient(**options(bootstrap))
    admin.create_topics([NewTopic(topic, int(partitions), 1)], timeout_ms=TIMEOUT_S * 1000)
    admin.close()


def produce(bootstrap, topic, codec):
    producer = KafkaProducer(
        acks="all", linger_ms=5, retries=10, compression_type=None if codec == "none" else codec, **options(bootstrap))
    futures = []
    for line in sys.stdin:
        record = json.loads(line)
        futures.append(producer.send(
            topic,
            key=decode(record["key"]),
            value=decode(record["value"]),
            headers=[(decode(name).decode("utf-8"), decode(value)) for name, value in record["headers"]],
            partition=record["partition"],
            timestamp_ms=record["timestamp"]))
    producer.flush(TIMEOUT_S)
    for future in futures:
        future.get(TIMEOUT_S)
    producer.close()


def consume(bootstrap, topic):
    consumer = KafkaConsumer(
        auto_offset_reset="none", enable_auto_commit=False, check_crcs=True,
        consumer_timeout_ms=TIMEOUT_S * 1000, **options(bootstrap))
    partitions = [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic))]
    starts = consumer.beginning_offsets(partitions)
    ends = consumer.end_offsets(partitions)
    unfinished = {partition for partition in partitions if ends[partition] > starts[partition]}
    consumer.assign(list(unfinished))
    for partition in unfinished:
        consumer.seek(partition, starts[partition])
    while unfinished:
        record = next(consumer)
        print(json.dumps({
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": encode(record.key),
            "value": encode(record.value),
            "headers": [[encode(name.encode("utf-8")), encode(value)] for name, value in record.headers],
        }, separators=(",", ":")))
        partition = TopicPartition(record.topic, record.partition)
        if record.offset == ends[partition] - 1:
            unfinished.discard(partition)
    consumer.close()


def emit(**event):
    print(json.dumps(event, separators=(",", ":")), flush=True)


class TellsAssignments(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        emit(event="assigned", partitions=sorted(partition.partition for partition in assigned))


def group(bootstrap, group_id, topic, instance):
    if instance != "-":
        raise ValueError("kafka-python has no static members")
    assignors = [ASSIGNORS[name] for name in os.environ.get("KAFKA_PYTHON_ASSIGNORS", "range,roundrobin").split(",")]
    consumer = KafkaConsumer(
        partition_assignment_strategy=assignors, group_id=group_id, auto_offset_reset="earliest", enable_auto_commit=False, session_timeout_ms=6000,
        heartbeat_interval_ms=500, reconnect_backoff_max_ms=200, **options(bootstrap))
    consumer.subscribe([topic], listener=TellsAssignments())
    while not (select.select([sys.stdin], [], [], 0)[0] and not os.read(sys.stdin.fileno(), 64)):
        for partition, records in consumer.poll(timeout_ms=50).items():
            for record in records:
                emit(event="record", partition=record.partition, offset=record.offset)
            next_offset = records[-1].offset + 1
            try:
                consumer.commit({partition: OffsetAndMetadata(next_offset, "")})
                emit(event="committed", partition=partition.partition, offset=next_offset)
            except KafkaError as error:
                # A rebalance or a restart refuses it; whoever reads the records next commits them.
                print(f"commit: {error}", file=sys.stderr)
    consumer.close()


class Admin:
    """One method per operation of the contract; each gets the operation's fields and returns what it prints."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.client = KafkaAdminClient(**options(bootstrap))

    def create_topic(self, topic, partitions, configs):
        self.client.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)], timeout_ms=TIMEOUT_S * 1000)

    def delete_topic(self, topic):
        self.client.delete_topics([topic], timeout_ms=TIMEOUT_S * 1000)

    def describe_topic(self, topic):
        described, = self.client.describe_topics([topic])
        raise_for(described["error_code"])
        return {"partitions": len(described["partitions"])}

    def create_partitions(self, topic, partitions):
        self.client.create_partitions({topic: NewPartitions(partitions)}, timeout_ms=TIMEOUT_S * 1000)

    def describe_configs(self, topic):
        response, = self.client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        (error, _, _, _, entries), = response.resources
        raise_for(error)
        return {"configs": {entry[0]: entry[1] for entry in entries}}

    def alter_config(self, topic, name, value):
        response = self.client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={name: value})])
        raise_for(response.resources[0][0])

    def list_offsets(self, topic, partition):
        consumer = KafkaConsumer(**options(self.bootstrap))
        target = TopicPartition(topic, partition)
        earliest, latest = consumer.beginning_offsets([target])[target], consumer.end_offsets([target])[target]
        consumer.close()
        return {"earliest": earliest, "latest": latest}


    def list_groups(self):
        return {"groups": [name for name, _ in self.client.list_consumer_groups()]}

    def describe_group(self, group):
        described, = self.client.describe_consumer_groups([group])
        raise_for(described.error_code)
        return {"state": described.state, "members": len(described.members)}

    def group_offsets(self, group, topic):
        offsets = self.client.list_consumer_group_offsets(group)
        return {"offsets": {str(partition.partition): entry.offset for partition, entry in offsets.items()}}

    def delete_group(self, group):
        (_, error), = self.client.delete_consumer_groups([group])
        raise_for(error.errno)


def raise_for(code):
    if code:
        raise for_code(code)


def admin(bootstrap):
    target = Admin(bootstrap)
    for line in sys.stdin:
        operation = json.loads(line)
        method = getattr(target, operation.pop("op").replace("-", "_"), None)
        try:
            answer = {"unsupported": True} if method is None else {"ok": True, **(method(**operation) or {})}
        except KafkaError as error:
            answer = {"error": error.errno, "message": str(error)}
        print(json.dumps(answer), flush=True)
    target.client.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    COMMANDS = {"create-topic": create_topic, "produce": produce, "consume": consume, "group": group, "admin": admin}
    COMMANDS[sys.argv[1]](*sys.argv[2:])
