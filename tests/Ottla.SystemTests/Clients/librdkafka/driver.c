/*
 * The driver for librdkafka's C interface. See ../../README.md for the contract:
 *   driver create-topic <bootstrap> <topic> <partitions>
 *   driver produce      <bootstrap> <topic> <codec>       records as JSON lines on stdin
 *   driver consume      <bootstrap> <topic>               records as JSON lines on stdout
 *   driver group        <bootstrap> <group> <topic> <instance or ->   a member's events as JSON lines on stdout, until the end of stdin
 *   driver transform    <bootstrap> <group> <topic> <to topic> <id>   copies records exactly once, until the end of stdin
 */
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 30000, HEADERS_MAX = 64 };

static _Noreturn void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* Base64. Absent (null) data is a NULL pointer; empty data is a pointer and size 0. */

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void print_base64(const unsigned char *data, size_t size) {
    if (data == NULL) {
        fputs("null", stdout);
        return;
    }
    putchar('"');
    for (size_t i = 0; i < size; i += 3) {
        unsigned bits = data[i] << 16 | (i + 1 < size ? data[i + 1] << 8 : 0) | (i + 2 < size ? data[i + 2] : 0);
        putchar(ALPHABET[bits >> 18 & 63]);
        putchar(ALPHABET[bits >> 12 & 63]);
        putchar(i + 1 < size ? ALPHABET[bits >> 6 & 63] : '=');
        putchar(i + 2 < size ? ALPHABET[bits & 63] : '=');
    }
    putchar('"');
}

typedef struct {
    unsigned char *data; /* NULL for null */
    size_t size;
} bytes_t;

/* Reads a base64 string or null at *cursor and moves the cursor behind it. Decodes in place: the text is longer than its bytes. */
static bytes_t parse_base64(char **cursor) {
    char *text = *cursor;
    if (strncmp(text, "null", 4) == 0) {
        *cursor = text + 4;
        return (bytes_t){NULL, 0};
    }
    if (*text++ != '"')
        die("a base64 string or null is expected at: %.20s", *cursor);
    unsigned char *out = (unsigned char *)text, *start = out;
    unsigned bits = 0, count = 0;
    for (; *text != '"'; text++) {
        if (*text == '\0')
            die("unterminated string");
        const char *found = strchr(ALPHABET, *text);
        if (found == NULL)
            continue; /* padding */
        bits = bits << 6 | (unsigned)(found - ALPHABET);
        if (++count % 4 != 1)
            *out++ = (unsigned char)(bits >> (6 - 2 * ((count - 1) % 4)));
    }
    *cursor = text + 1;
    return (bytes_t){start, (size_t)(out - start)};
}

/* Moves behind `"name":`. No base64 text contains a quote or a colon, so the first match is the field. */
static char *find_field(char *line, const char *name) {
    char pattern[32];
    snprintf(pattern, sizeof pattern, "\"%s\":", name);
    char *found = strstr(line, pattern);
    if (found == NULL)
        die("the record has no field %s", name);
    return found + strlen(pattern);
}

static rd_kafka_t *create_client(rd_kafka_type_t type, const char *bootstrap, rd_kafka_conf_t *conf) {
    char error[512];
    if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, error, sizeof error) != RD_KAFKA_CONF_OK)
        die("%s", error);
    rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof error);
    if (client == NULL)
        die("%s", error);
    return client;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[512];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK)
        die("%s", error);
}

/* The new group protocol (KIP-848), if the test asks for it. There the broker says how long a session is, and assigns. */
static int set_consumer_protocol(rd_kafka_conf_t *conf) {
    const char *protocol = getenv("LIBRDKAFKA_GROUP_PROTOCOL");
    if (protocol == NULL || strcmp(protocol, "consumer") != 0)
        return 0;
    set(conf, "group.protocol", "consumer");
    return 1;
}

/*
 * Keeps a transactional producer from hanging after the only broker was away. librdkafka forgets all brokers then and asks the bootstrap
 * servers anew, but goes on waiting for the forgotten handle of the group's coordinator: rd_kafka_send_offsets_to_transaction sends no
 * TxnOffsetCommit and does not return (librdkafka issue 5511; its own mock cluster shows it too). Versions before 2.10 do not do that, and
 * do not know the config.
 */
static void keep_known_brokers(rd_kafka_conf_t *conf) {
    if (rd_kafka_version() >= 0x020a0000)
        set(conf, "metadata.recovery.strategy", "none");
}

static void create_topic(const char *bootstrap, const char *topic, int partitions) {
    char error[512];
    rd_kafka_t *client = create_client(RD_KAFKA_PRODUCER, bootstrap, rd_kafka_conf_new());
    rd_kafka_NewTopic_t *new_topic = rd_kafka_NewTopic_new(topic, partitions, 1, error, sizeof error);
    if (new_topic == NULL)
        die("%s", error);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_CreateTopics(client, &new_topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (event == NULL)
        die("CreateTopics timed out");
    if (rd_kafka_event_error(event))
        die("CreateTopics: %s", rd_kafka_event_error_string(event));
    size_t count;
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    if (count != 1)
        die("CreateTopics gave %zu results", count);
    if (rd_kafka_topic_result_error(results[0]))
        die("CreateTopics: %s: %s", rd_kafka_err2name(rd_kafka_topic_result_error(results[0])), rd_kafka_topic_result_error_string(results[0]));
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(new_topic);
    rd_kafka_destroy(client);
}

static size_t delivered;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    (void)client;
    (void)opaque;
    if (message->err)
        die("delivery failed: %s", rd_kafka_err2str(message->err));
    delivered++;
}

static void produce(const char *bootstrap, const char *topic, const char *codec) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "compression.codec", codec);
    set(conf, "acks", "all");
    set(conf, "enable.idempotence", "true");
    set(conf, "message.timeout.ms", "30000");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *client = create_client(RD_KAFKA_PRODUCER, bootstrap, conf);

    char *line = NULL;
    size_t capacity = 0, produced = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        /* Fields are found before any of them is decoded: decoding overwrites the line. */
        char *partition = find_field(line, "partition"), *timestamp = find_field(line, "timestamp");
        char *key_text = find_field(line, "key"), *value_text = find_field(line, "value"), *cursor = find_field(line, "headers");
        int32_t partition_id = (int32_t)strtol(partition, NULL, 10);
        int64_t timestamp_ms = strtoll(timestamp, NULL, 10);
        bytes_t key = parse_base64(&key_text), value = parse_base64(&value_text);

        rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS_MAX);
        for (cursor++; *cursor == '[' || *cursor == ',';) {
            cursor += *cursor == ',' ? 2 : 1;
            bytes_t name = parse_base64(&cursor);
            cursor++;
            bytes_t header = parse_base64(&cursor);
            cursor++;
            rd_kafka_header_add(headers, (char *)name.data, (ssize_t)name.size, header.data, (ssize_t)header.size);
        }
        rd_kafka_resp_err_t error = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition_id),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK), RD_KAFKA_V_TIMESTAMP(timestamp_ms),
            RD_KAFKA_V_KEY(key.data, key.size), RD_KAFKA_V_VALUE(value.data, value.size), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (error)
            die("produce: %s", rd_kafka_err2str(error));
        produced++;
        rd_kafka_poll(client, 0);
    }
    free(line);
    if (rd_kafka_flush(client, TIMEOUT_MS) || delivered != produced)
        die("delivered %zu of %zu records", delivered, produced);
    rd_kafka_destroy(client);
}

static void print_record(const rd_kafka_message_t *message) {
    rd_kafka_timestamp_type_t type;
    printf("{\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld,\"key\":", message->partition, (long long)message->offset,
        (long long)rd_kafka_message_timestamp(message, &type));
    print_base64(message->key, message->key_len);
    fputs(",\"value\":", stdout);
    print_base64(message->payload, message->len);
    fputs(",\"headers\":[", stdout);
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char *name;
        const void *value;
        size_t size;
        for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
            fputs(i == 0 ? "[" : ",[", stdout);
            print_base64((const unsigned char *)name, strlen(name));
            putchar(',');
            print_base64(value, size);
            putchar(']');
        }
    }
    puts("]}");
}

static void consume(const char *bootstrap, const char *topic) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "group.id", "unused");
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "error");
    set(conf, "enable.partition.eof", "false");
    set(conf, "check.crcs", "true");
    rd_kafka_t *client = create_client(RD_KAFKA_CONSUMER, bootstrap, conf);
    rd_kafka_poll_set_consumer(client);

    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, handle, &metadata, TIMEOUT_MS);
    if (error || metadata->topic_cnt != 1 || metadata->topics[0].err)
        die("metadata: %s", rd_kafka_err2str(error ? error : metadata->topics[0].err));
    int partitions = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);

    int64_t *ends = calloc((size_t)partitions, sizeof *ends);
    int unfinished = 0;
    rd_kafka_topic_partition_list_t *assignment = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++) {
        int64_t low, high;
        if ((error = rd_kafka_query_watermark_offsets(client, topic, i, &low, &high, TIMEOUT_MS)))
            die("watermarks: %s", rd_kafka_err2str(error));
        ends[i] = high;
        if (low == high)
            continue;
        unfinished++;
        rd_kafka_topic_partition_list_add(assignment, topic, i)->offset = low;
    }
    if ((error = rd_kafka_assign(client, assignment)))
        die("assign: %s", rd_kafka_err2str(error));
    while (unfinished > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, TIMEOUT_MS);
        if (message == NULL)
            die("no record within %d ms", TIMEOUT_MS);
        if (message->err)
            die("consume: %s", rd_kafka_message_errstr(message));
        print_record(message);
        if (message->offset == ends[message->partition] - 1)
            unfinished--;
        rd_kafka_message_destroy(message);
    }
    rd_kafka_topic_partition_list_destroy(assignment);
    free(ends);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
}

static void print_assignment(rd_kafka_t *client) {
    rd_kafka_topic_partition_list_t *assignment;
    rd_kafka_resp_err_t error = rd_kafka_assignment(client, &assignment);
    if (error == RD_KAFKA_RESP_ERR__DESTROY)
        return; /* it is closing */
    if (error)
        die("assignment: %s", rd_kafka_err2str(error));
    fputs("{\"event\":\"assigned\",\"partitions\":[", stdout);
    for (int i = 0; i < assignment->cnt; i++)
        printf("%s%d", i == 0 ? "" : ",", assignment->elems[i].partition);
    puts("]}");
    rd_kafka_topic_partition_list_destroy(assignment);
}

/* Takes partitions, or gives them up, as the group's protocol wants it: all at once, or some of them. */
static void take_or_give(rd_kafka_t *client, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *partitions) {
    int is_given = what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (strcmp(rd_kafka_rebalance_protocol(client), "COOPERATIVE") == 0) {
        rd_kafka_error_t *failure =
            is_given ? rd_kafka_incremental_assign(client, partitions) : rd_kafka_incremental_unassign(client, partitions);
        if (failure)
            die("rebalance: %s", rd_kafka_error_string(failure));
    } else {
        rd_kafka_resp_err_t error = rd_kafka_assign(client, is_given ? partitions : NULL);
        if (error)
            die("rebalance: %s", rd_kafka_err2str(error));
    }
}

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    (void)opaque;
    take_or_give(client, what, partitions);
    print_assignment(client);
}

static int is_stdin_at_end(void) {
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    char ignored[64];
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, ignored, sizeof ignored) <= 0;
}

/* Commits what it reads, one record at a time, and tells what was acknowledged. Commits that a rebalance or a restart refuses are done again by whoever reads the record next. */
static void group(const char *bootstrap, const char *group_id, const char *topic, const char *instance) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "group.id", group_id);
    if (strcmp(instance, "-") != 0)
        set(conf, "group.instance.id", instance);
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "earliest");
    if (!set_consumer_protocol(conf)) {
        const char *assignors = getenv("LIBRDKAFKA_ASSIGNORS");
        set(conf, "partition.assignment.strategy", assignors == NULL ? "cooperative-sticky" : assignors);
        set(conf, "session.timeout.ms", "6000");
        set(conf, "heartbeat.interval.ms", "500");
    }
    set(conf, "reconnect.backoff.max.ms", "200");
    const char *debug = getenv("LIBRDKAFKA_DEBUG"); /* for whoever looks into a failure: cgrp,broker,protocol */
    if (debug != NULL)
        set(conf, "debug", debug);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_t *client = create_client(RD_KAFKA_CONSUMER, bootstrap, conf);
    rd_kafka_poll_set_consumer(client);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t error = rd_kafka_subscribe(client, topics);
    if (error)
        die("subscribe: %s", rd_kafka_err2str(error));
    rd_kafka_topic_partition_list_destroy(topics);
    while (!is_stdin_at_end()) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, 50);
        if (message == NULL)
            continue;
        if (!message->err) {
            printf("{\"event\":\"record\",\"partition\":%d,\"offset\":%lld}\n", message->partition, (long long)message->offset);
            error = rd_kafka_commit_message(client, message, 0);
            if (error)
                fprintf(stderr, "commit: %s\n", rd_kafka_err2str(error));
            else
                printf("{\"event\":\"committed\",\"partition\":%d,\"offset\":%lld}\n", message->partition, (long long)message->offset + 1);
        } else {
            fprintf(stderr, "consume: %s\n", rd_kafka_message_errstr(message));
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
}

enum { TRANSFORM_BATCH_MAX = 50, TRANSFORM_POLL_MS = 50, STDOUT_BYTES = 64 * 1024 };

/* True when the transaction has to be aborted, false when all is well; any other failure ends the process, and whoever started it starts another. */
static int must_abort(const char *what, rd_kafka_error_t *error) {
    if (error == NULL)
        return 0;
    fprintf(stderr, "%s: %s\n", what, rd_kafka_error_string(error));
    if (!rd_kafka_error_txn_requires_abort(error))
        exit(3);
    rd_kafka_error_destroy(error);
    return 1;
}

/* Whether partitions were taken or given since the batch was begun: what it has of them is read again, by whoever has them now. */
static int is_rebalanced;

static void on_transform_rebalance(
    rd_kafka_t *consumer, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    (void)opaque;
    is_rebalanced = 1;
    take_or_give(consumer, what, partitions);
}

static int drop_batch(rd_kafka_message_t **batch, int count) {
    for (int i = 0; i < count; i++)
        rd_kafka_message_destroy(batch[i]);
    return 0;
}

/* Goes back to what the group has committed: the aborted transaction did not happen. */
static void rewind_to_committed(rd_kafka_t *consumer) {
    rd_kafka_topic_partition_list_t *partitions;
    rd_kafka_resp_err_t error = rd_kafka_assignment(consumer, &partitions);
    if (!error)
        error = rd_kafka_committed(consumer, partitions, TIMEOUT_MS);
    if (error)
        exit(3);
    for (int i = 0; i < partitions->cnt; i++)
        if (partitions->elems[i].offset < 0)
            partitions->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_error_t *failure = rd_kafka_seek_partitions(consumer, partitions, TIMEOUT_MS);
    if (failure)
        exit(3);
    rd_kafka_topic_partition_list_destroy(partitions);
}

static void transform(const char *bootstrap, const char *group_id, const char *topic, const char *to_topic, const char *id) {
    setvbuf(stdout, NULL, _IOLBF, STDOUT_BYTES); /* a line is one write: it comes whole, or not at all */
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "transactional.id", id);
    set(conf, "transaction.timeout.ms", "20000");
    set(conf, "reconnect.backoff.max.ms", "200");
    keep_known_brokers(conf);
    rd_kafka_t *producer = create_client(RD_KAFKA_PRODUCER, bootstrap, conf);
    /* The transaction of whoever had this id before ends here, before its offsets are asked for. */
    if (must_abort("init", rd_kafka_init_transactions(producer, TIMEOUT_MS)))
        exit(3);

    conf = rd_kafka_conf_new();
    set(conf, "group.id", group_id);
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "isolation.level", "read_committed");
    /* In the classic protocol the next process takes over a killed one's place. In the new one it is refused until the session has ended. */
    if (!set_consumer_protocol(conf)) {
        set(conf, "group.instance.id", id);
        set(conf, "session.timeout.ms", "6000");
    }
    set(conf, "reconnect.backoff.max.ms", "200");
    rd_kafka_conf_set_rebalance_cb(conf, on_transform_rebalance);
    rd_kafka_t *consumer = create_client(RD_KAFKA_CONSUMER, bootstrap, conf);
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    if (rd_kafka_subscribe(consumer, topics))
        die("subscribe failed");
    rd_kafka_topic_partition_list_destroy(topics);

    while (!is_stdin_at_end()) {
        rd_kafka_message_t *batch[TRANSFORM_BATCH_MAX];
        int count = 0;
        rd_kafka_message_t *message;
        while (count < TRANSFORM_BATCH_MAX && (message = rd_kafka_consumer_poll(consumer, TRANSFORM_POLL_MS)) != NULL) {
            if (is_rebalanced)
                count = drop_batch(batch, count); /* the message came after it */
            is_rebalanced = 0;
            if (message->err == RD_KAFKA_RESP_ERR__FATAL)
                die("consume: %s", rd_kafka_message_errstr(message));
            if (message->err)
                rd_kafka_message_destroy(message);
            else
                batch[count++] = message;
        }
        if (is_rebalanced)
            count = drop_batch(batch, count);
        is_rebalanced = 0;
        if (count == 0)
            continue;
        printf("{\"event\":\"transaction\",\"records\":[");
        for (int i = 0; i < count; i++)
            printf("%s[%d,%lld,%.*s]", i == 0 ? "" : ",", batch[i]->partition, (long long)batch[i]->offset, (int)batch[i]->len, (const char *)batch[i]->payload);
        printf("]}\n");
        if (must_abort("begin", rd_kafka_begin_transaction(producer)))
            exit(3);
        rd_kafka_topic_partition_list_t *positions = rd_kafka_topic_partition_list_new(count);
        for (int i = 0; i < count; i++) {
            rd_kafka_resp_err_t error = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(to_topic), RD_KAFKA_V_PARTITION(batch[i]->partition),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(batch[i]->payload, batch[i]->len), RD_KAFKA_V_END);
            if (error)
                exit(3);
            rd_kafka_topic_partition_t *position = rd_kafka_topic_partition_list_find(positions, topic, batch[i]->partition);
            if (position == NULL)
                position = rd_kafka_topic_partition_list_add(positions, topic, batch[i]->partition);
            position->offset = batch[i]->offset + 1;
            rd_kafka_message_destroy(batch[i]);
        }
        rd_kafka_consumer_group_metadata_t *metadata = rd_kafka_consumer_group_metadata(consumer);
        if (must_abort("offsets", rd_kafka_send_offsets_to_transaction(producer, positions, metadata, TIMEOUT_MS))
            || must_abort("commit", rd_kafka_commit_transaction(producer, TIMEOUT_MS))) {
            if (must_abort("abort", rd_kafka_abort_transaction(producer, TIMEOUT_MS)))
                exit(3);
            printf("{\"event\":\"aborted\"}\n");
            rewind_to_committed(consumer);
        } else {
            printf("{\"event\":\"committed\",\"partition\":-1,\"offset\":%d}\n", count);
        }
        rd_kafka_consumer_group_metadata_destroy(metadata);
        rd_kafka_topic_partition_list_destroy(positions);
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    rd_kafka_destroy(producer);
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "create-topic") == 0)
        create_topic(argv[2], argv[3], atoi(argv[4]));
    else if (argc == 5 && strcmp(argv[1], "produce") == 0)
        produce(argv[2], argv[3], argv[4]);
    else if (argc == 4 && strcmp(argv[1], "consume") == 0)
        consume(argv[2], argv[3]);
    else if (argc == 6 && strcmp(argv[1], "group") == 0)
        group(argv[2], argv[3], argv[4], argv[5]);
    else if (argc == 7 && strcmp(argv[1], "transform") == 0)
        transform(argv[2], argv[3], argv[4], argv[5], argv[6]);
    else
        die("usage: driver create-topic|produce|consume <bootstrap> <topic> [<partitions>|<codec>], group <bootstrap> <group> <topic> <instance>, or transform <bootstrap> <group> <topic> <to topic> <id>");
    return 0;
}
