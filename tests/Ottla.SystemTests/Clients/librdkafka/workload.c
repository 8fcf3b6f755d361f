/*
 * A writer and a reader of ./dev chaos on librdkafka's C interface. See ../../../Ottla.Chaos/README.md for the contract:
 *   workload write <bootstrap> <topic> <partitions> <first value> <records per second> <bytes behind each number>
 *   workload read  <bootstrap> <topic> <partitions> <group, or - for all partitions without a group>
 * LIBRDKAFKA_GROUP_PROTOCOL=consumer makes the reader a member of the new protocol (KIP-848).
 */
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FATAL = 3, IN_FLIGHT_MAX = 500, PADDING_MAX = 100000, COMMIT_EVERY_MS = 200, POLL_MS = 50, FLUSH_MS = 200 };

static int is_fatal;

static int64_t now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static _Noreturn void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[512];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK)
        die("%s", error);
}

/* What both kinds do alike: a peer that is gone is noticed in ten seconds, and tried again soon. */
static rd_kafka_conf_t *new_configuration(const char *bootstrap) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "client.id", "chaos-librdkafka");
    set(conf, "socket.timeout.ms", "10000");
    set(conf, "socket.connection.setup.timeout.ms", "3000");
    set(conf, "reconnect.backoff.ms", "50");
    set(conf, "reconnect.backoff.max.ms", "500");
    set(conf, "topic.metadata.refresh.fast.interval.ms", "100");
    return conf;
}

static rd_kafka_t *create_client(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
    char error[512];
    rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof error);
    if (client == NULL)
        die("%s", error);
    return client;
}

static int is_stdin_at_end(void) {
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    char ignored[64];
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, ignored, sizeof ignored) <= 0;
}

static void on_error(rd_kafka_t *client, int error, const char *reason, void *opaque) {
    (void)opaque;
    char text[512];
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(client, text, sizeof text);
        printf("fatal %s %s\n", rd_kafka_err2name(fatal), text);
        is_fatal = 1;
    } else {
        printf("error %s %s\n", rd_kafka_err2name(error), reason);
    }
}

typedef struct {
    long long value;
    int64_t sent_us;
} sent_t;

static int in_flight;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    (void)client;
    (void)opaque;
    sent_t *sent = message->_private;
    const char *error = rd_kafka_err2name(message->err);
    if (!message->err)
        printf("ok %d %lld %lld %lld %lld\n", message->partition, sent->value, (long long)message->offset, (long long)sent->sent_us,
            (long long)now_us());
    else if (rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED)
        printf("fail %d %lld %s\n", message->partition, sent->value, error);
    else
        printf("doubt %d %lld %s\n", message->partition, sent->value, error);
    free(sent);
    in_flight--;
}

static void write_records(const char *bootstrap, const char *topic, int partitions, long long value, int per_second, int padding) {
    rd_kafka_conf_t *conf = new_configuration(bootstrap);
    set(conf, "acks", "all");
    set(conf, "enable.idempotence", "true");
    set(conf, "linger.ms", "2");
    set(conf, "retry.backoff.ms", "50");
    set(conf, "request.timeout.ms", "10000");
    set(conf, "message.timeout.ms", "600000");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_t *client = create_client(RD_KAFKA_PRODUCER, conf);
    static char payload[32 + PADDING_MAX];
    int64_t due = now_us(), interval = 1000000 / per_second;
    for (long long count = 0; !is_fatal && !is_stdin_at_end();) {
        int64_t wait = due - now_us();
        if (in_flight >= IN_FLIGHT_MAX || wait > 0) {
            rd_kafka_poll(client, in_flight >= IN_FLIGHT_MAX ? POLL_MS : (int)(wait / 1000) + 1);
            continue;
        }
        /* What was not sent while the broker was away is not made up for. */
        due = wait < -1000000 ? now_us() : due + interval;
        sent_t *sent = malloc(sizeof *sent);
        *sent = (sent_t){value + count, now_us()};
        int size = snprintf(payload, sizeof payload, padding > 0 ? "%lld %0*d" : "%lld", sent->value, padding, 0);
        int partition = (int)(count++ % partitions);
        printf("send %d %lld\n", partition, sent->value);
        rd_kafka_resp_err_t error = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(payload, (size_t)size), RD_KAFKA_V_OPAQUE(sent), RD_KAFKA_V_END);
        if (error) {
            printf("fail %d %lld %s\n", partition, sent->value, rd_kafka_err2name(error));
            free(sent);
        } else {
            in_flight++;
        }
        rd_kafka_poll(client, 0);
    }
    while (!is_fatal && in_flight > 0)
        rd_kafka_poll(client, FLUSH_MS);
    if (is_fatal) { /* tells what becomes of the rest */
        rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(client, FLUSH_MS);
        exit(FATAL);
    }
    rd_kafka_destroy(client);
}

static void print_partitions(const char *what, const rd_kafka_topic_partition_list_t *list) {
    fputs(what, stdout);
    for (int i = 0; i < list->cnt; i++)
        printf(" %d", list->elems[i].partition);
    putchar('\n');
}

static void commit(rd_kafka_t *client, rd_kafka_topic_partition_list_t *positions) {
    if (positions->cnt == 0)
        return;
    rd_kafka_resp_err_t error = rd_kafka_commit(client, positions, 0);
    for (int i = 0; i < positions->cnt; i++) {
        rd_kafka_topic_partition_t *position = &positions->elems[i];
        if (error || position->err)
            printf("uncommitted %d %lld %s\n", position->partition, (long long)position->offset,
                rd_kafka_err2name(error ? error : position->err));
        else
            printf("commit %d %lld\n", position->partition, (long long)position->offset);
    }
    while (positions->cnt > 0)
        rd_kafka_topic_partition_list_del_by_idx(positions, positions->cnt - 1);
}

/* What is not committed of partitions that go is read again by whoever gets them. */
static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    rd_kafka_topic_partition_list_t *positions = opaque;
    rd_kafka_error_t *failure;
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        print_partitions("assign", partitions);
        failure = rd_kafka_incremental_assign(client, partitions);
    } else {
        print_partitions("revoke", partitions);
        for (int i = 0; i < partitions->cnt; i++)
            rd_kafka_topic_partition_list_del(positions, partitions->elems[i].topic, partitions->elems[i].partition);
        failure = rd_kafka_incremental_unassign(client, partitions);
    }
    if (failure) {
        printf("error rebalance %s\n", rd_kafka_error_string(failure));
        rd_kafka_error_destroy(failure);
    }
}

static void read_records(const char *bootstrap, const char *topic, int partitions, const char *group) {
    int is_member = strcmp(group, "-") != 0;
    const char *protocol = getenv("LIBRDKAFKA_GROUP_PROTOCOL");
    rd_kafka_topic_partition_list_t *positions = rd_kafka_topic_partition_list_new(partitions);
    rd_kafka_conf_t *conf = new_configuration(bootstrap);
    set(conf, "group.id", is_member ? group : "unused");
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", is_member ? "earliest" : "error");
    set(conf, "check.crcs", "true");
    set(conf, "fetch.wait.max.ms", "200");
    if (is_member && protocol != NULL && strcmp(protocol, "consumer") == 0) {
        set(conf, "group.protocol", "consumer");
    } else if (is_member) {
        set(conf, "partition.assignment.strategy", "cooperative-sticky");
        set(conf, "session.timeout.ms", "6000");
        set(conf, "heartbeat.interval.ms", "500");
    }
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_opaque(conf, positions);
    rd_kafka_t *client = create_client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(client);

    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(partitions);
    rd_kafka_resp_err_t error;
    if (is_member) {
        rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
        error = rd_kafka_subscribe(client, topics);
    } else {
        for (int i = 0; i < partitions; i++)
            rd_kafka_topic_partition_list_add(topics, topic, i)->offset = 0;
        error = rd_kafka_assign(client, topics);
    }
    if (error)
        die("subscribe or assign: %s", rd_kafka_err2str(error));
    rd_kafka_topic_partition_list_destroy(topics);

    int64_t committed_us = now_us();
    while (!is_fatal && !is_stdin_at_end()) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, POLL_MS);
        if (message != NULL && message->err) {
            printf("error %s %s\n", rd_kafka_err2name(message->err), rd_kafka_message_errstr(message));
        } else if (message != NULL) {
            const char *end = memchr(message->payload, ' ', message->len);
            printf("poll %d %lld %.*s\n", message->partition, (long long)message->offset,
                end == NULL ? (int)message->len : (int)(end - (const char *)message->payload), (const char *)message->payload);
            rd_kafka_topic_partition_t *position = rd_kafka_topic_partition_list_find(positions, topic, message->partition);
            if (position == NULL)
                position = rd_kafka_topic_partition_list_add(positions, topic, message->partition);
            position->offset = message->offset + 1;
        }
        if (message != NULL)
            rd_kafka_message_destroy(message);
        if (is_member && now_us() - committed_us > COMMIT_EVERY_MS * 1000) {
            commit(client, positions);
            committed_us = now_us();
        }
    }
    if (is_member)
        commit(client, positions);
    rd_kafka_consumer_close(client);
    rd_kafka_topic_partition_list_destroy(positions);
    rd_kafka_destroy(client);
    if (is_fatal)
        exit(FATAL);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 8 && strcmp(argv[1], "write") == 0 && atoi(argv[7]) <= PADDING_MAX)
        write_records(argv[2], argv[3], atoi(argv[4]), atoll(argv[5]), atoi(argv[6]), atoi(argv[7]));
    else if (argc == 6 && strcmp(argv[1], "read") == 0)
        read_records(argv[2], argv[3], atoi(argv[4]), argv[5]);
    else
        die("usage: workload write <bootstrap> <topic> <partitions> <first value> <per second> <padding>, or read <bootstrap> <topic> <partitions> <group or ->");
    return 0;
}
