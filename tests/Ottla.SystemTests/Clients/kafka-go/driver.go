// The driver for kafka-go 0.2.1, the version that Debian has. It predates the record batch: its Produce v2, Fetch v2 and CreateTopics v0 were
// removed from brokers by KIP-896, so those commands are expected to be refused. Metadata v1, ListOffsets v1 and DeleteTopics v1 still work.
//
//	driver offsets      <bootstrap> <topic>               one JSON line for each partition
//	driver delete-topic <bootstrap> <topic>
//	driver create-topic <bootstrap> <topic> <partitions>
//	driver produce      <bootstrap> <topic>               one record
//	driver consume      <bootstrap> <topic>               one record
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	kafka "github.com/segmentio/kafka-go"
)

const (
	timeout      = 10 * time.Second
	fetchMaxSize = 1 << 20
)

func main() {
	if len(os.Args) < 4 {
		fail(fmt.Errorf("usage: driver <command> <bootstrap> <topic> [<partitions>]"))
	}
	command, bootstrap, topic := os.Args[1], os.Args[2], os.Args[3]
	switch command {
	case "offsets":
		offsets(bootstrap, topic)
	case "delete-topic":
		connection := dial(bootstrap)
		defer connection.Close()
		check(connection.DeleteTopics(topic))
	case "create-topic":
		partitions, err := strconv.Atoi(os.Args[4])
		check(err)
		connection := dial(bootstrap)
		defer connection.Close()
		check(connection.CreateTopics(kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}))
	case "produce":
		leader := dialLeader(bootstrap, topic, 0)
		defer leader.Close()
		_, err := leader.WriteMessages(kafka.Message{Key: []byte("key"), Value: []byte("value")})
		check(err)
	case "consume":
		leader := dialLeader(bootstrap, topic, 0)
		defer leader.Close()
		_, err := leader.ReadMessage(fetchMaxSize)
		check(err)
	default:
		fail(fmt.Errorf("unknown command %s", command))
	}
}

func offsets(bootstrap, topic string) {
	connection := dial(bootstrap)
	defer connection.Close()
	partitions, err := connection.ReadPartitions(topic)
	check(err)
	output := json.NewEncoder(os.Stdout)
	for _, partition := range partitions {
		leader := dialLeader(bootstrap, topic, partition.ID)
		first, last, err := leader.ReadOffsets()
		check(err)
		leader.Close()
		check(output.Encode(map[string]int64{"partition": int64(partition.ID), "earliest": first, "latest": last}))
	}
}

func dial(bootstrap string) *kafka.Conn {
	connection, err := (&kafka.Dialer{Timeout: timeout}).Dial("tcp", bootstrap)
	check(err)
	check(connection.SetDeadline(time.Now().Add(timeout)))
	return connection
}

func dialLeader(bootstrap, topic string, partition int) *kafka.Conn {
	connection, err := (&kafka.Dialer{Timeout: timeout}).DialLeader(context.Background(), "tcp", bootstrap, topic, partition)
	check(err)
	check(connection.SetDeadline(time.Now().Add(timeout)))
	return connection
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
