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
	"log"
	"os"
	"regexp"
	"strconv"
	"strings"
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

// Tells the assignments, which only the reader's log has, and commits the first record of each partition.
func group(bootstrap, groupID, topic string) {
	assigned := make(chan []int, 16)
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{bootstrap}, GroupID: groupID, Topic: topic,
		HeartbeatInterval: 500 * time.Millisecond, SessionTimeout: 6 * time.Second, RebalanceTimeout: 6 * time.Second,
		Logger: log.New(assignmentLog(assigned), "", 0),
	})
	go func() {
		output := json.NewEncoder(os.Stdout)
		for partitions := range assigned {
			check(output.Encode(map[string]interface{}{"event": "assigned", "partitions": partitions}))
			for _, partition := range partitions {
				if err := reader.CommitMessages(context.Background(), kafka.Message{Topic: topic, Partition: partition, Offset: 0}); err != nil {
					fmt.Fprintln(os.Stderr, err)
				} else {
					check(output.Encode(map[string]interface{}{"event": "committed", "partition": partition, "offset": 1}))
				}
			}
		}
	}()
	io.Copy(ioutil.Discard, os.Stdin)
	check(reader.Close())
}

type assignmentLog chan []int

// Write finds "subscribed to partitions: map[0:1 3:1]".
func (assigned assignmentLog) Write(line []byte) (int, error) {
	os.Stderr.Write(line)
	if found := subscribed.FindSubmatch(line); found != nil {
		partitions := []int{}
		for _, entry := range strings.Fields(string(found[1])) {
			partition, err := strconv.Atoi(strings.Split(entry, ":")[0])
			check(err)
			partitions = append(partitions, partition)
		}
		assigned <- partitions
	}
	return len(line), nil
}

var subscribed = regexp.MustCompile(`subscribed to partitions: map\[(.*)\]`)

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
