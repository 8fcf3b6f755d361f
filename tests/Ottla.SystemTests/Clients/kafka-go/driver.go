// The driver for kafka-go 0.2.1, the version that Debian has. It predates the record batch: its Produce v2, Fetch v2 and CreateTopics v0 were
// removed from brokers by KIP-896, so those commands are expected to be refused. Metadata v1, ListOffsets v1 and DeleteTopics v1 still work.
//
//	driver offsets      <bootstrap> <topic>               one JSON line for each partition
//	driver delete-topic <bootstrap> <topic>
//	driver create-topic <bootstrap> <topic> <partitions>
//	driver produce      <bootstrap> <topic>               one record
//	driver consume      <bootstrap> <topic>               one record
//	driver group        <bootstrap> <group> <topic>       a member that commits 1 for each partition it gets; events until the end of stdin
//
// Its groups still work: JoinGroup v1, SyncGroup v0, OffsetFetch v1, OffsetCommit v2.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/ioutil"
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
	case "group":
		group(bootstrap, os.Args[3], os.Args[4])
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

func group(bootstrap, groupID, topic string) {
	member, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: groupID, Brokers: []string{bootstrap}, Topics: []string{topic},
		HeartbeatInterval: 500 * time.Millisecond, SessionTimeout: 6 * time.Second, RebalanceTimeout: 6 * time.Second,
	})
	check(err)
	ended, end := context.WithCancel(context.Background())
	go func() {
		io.Copy(ioutil.Discard, os.Stdin)
		end()
	}()
	output := json.NewEncoder(os.Stdout)
	for {
		generation, err := member.Next(ended)
		if ended.Err() != nil {
			break
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		partitions, offsets := []int{}, map[int]int64{}
		for _, assignment := range generation.Assignments[topic] {
			partitions = append(partitions, assignment.ID)
			offsets[assignment.ID] = 1
		}
		check(output.Encode(map[string]interface{}{"event": "assigned", "partitions": partitions}))
		if err := generation.CommitOffsets(map[string]map[int]int64{topic: offsets}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		for _, partition := range partitions {
			check(output.Encode(map[string]interface{}{"event": "committed", "partition": partition, "offset": 1}))
		}
	}
	check(member.Close())
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
