namespace Ottla.Cli.Generate;

/// <summary>A state of the cluster that an operator is told of.</summary>
/// <param name="Name">Its name.</param>
/// <param name="IsCritical">Whether somebody is to be woken up; otherwise it can wait for the morning.</param>
/// <param name="For">How long the expression must hold.</param>
/// <param name="Expression">The expression of Prometheus. <c>$job</c> stands for the job's selector.</param>
/// <param name="Summary">What is the case, in a line. It may have Prometheus' templates.</param>
/// <param name="Meaning">What that means for clients and data.</param>
/// <param name="Action">What to do.</param>
internal sealed record Alert(
    string Name, bool IsCritical, string For, string Expression, string Summary, string Meaning, string Action);

/// <summary>
/// The alerts that <c>ottla generate prometheus-rules</c> writes, and that docs/monitoring.md explains. A test asks a real Prometheus
/// whether
/// it has every series that they name.
/// </summary>
internal static class Alerts
{
    /// <summary>All alerts, the worst ones first.</summary>
    public static IReadOnlyList<Alert> All { get; } =
    [
        new("KafkaNodeDown", true, "1m", "up{$job} == 0",
            "{{ $labels.instance }} does not answer",
            "Prometheus cannot scrape a node: its process has ended, its machine or the network is gone, or it hangs. With replication the "
                + "others go on; one more that fails may stop writes.",
            "Look whether the process runs, and read the end of its log. If it stopped because a disk failed, replace that first. If the "
                + "node runs and only the scrape fails, `curl localhost:9404/healthz` on its machine says what it thinks of itself, and "
                + "`ottla.monitoring.listener` where it answers."),
        new("KafkaNoActiveController", true, "1m",
            "sum(kafka_controller_kafkacontroller_activecontrollercount{$job}) != 1",
            "{{ $value }} active controllers instead of one",
            "Without an active controller no topic can be created, no leader elected, and no ISR changed: what works goes on until "
                + "something "
                + "fails. Two for longer than a moment are the view of nodes that do not hear each other.",
            "More than half of the controllers must run and reach each other: `ottla quorum status --bootstrap-controller HOST:9093` asks "
                + "one of them. Start those that are down. If more than half of their disks are lost, see "
                + "[a controller is lost](cluster.md#replace-a-controller-whose-disk-is-lost)."),
        new("KafkaOfflinePartitions", true, "30s",
            "max(kafka_controller_kafkacontroller_offlinepartitionscount{$job}) > 0",
            "{{ $value }} partitions have no leader",
            "Nobody can write to these partitions or read from them.",
            "`kafka-topics --describe --unavailable-partitions` names them and the brokers of their replicas. Start these brokers: one "
                + "that "
                + "was in sync when the leader was lost leads again at once. Only if all of those are lost for good, an unclean election "
                + "(`kafka-leader-election --election-type unclean`) makes the partition available, without the newest records."),
        new("KafkaUnderMinIsrPartitions", true, "1m",
            "sum(kafka_server_replicamanager_underminisrpartitioncount{$job}) > 0",
            "{{ $value }} partitions have too few replicas in sync",
            "Producers with acks=all get NOT_ENOUGH_REPLICAS on these partitions and cannot write. Reads go on.",
            "As for KafkaUnderReplicatedPartitions, and at once: bring back the brokers that are missing. Do not lower "
                + "`min.insync.replicas` unless the loss of a disk may cost records."),
        new("KafkaLogDirectoryOffline", true, "0m",
            "kafka_log_logmanager_offlinelogdirectorycount{$job} > 0",
            "{{ $labels.instance }} has lost {{ $value }} log directories",
            "A disk answered with an error, and the node uses it no more. The partitions on it are led by other brokers where they have "
                + "replicas in sync.",
            "The node's log names the directory and the error; `dmesg` says what the kernel thinks of the disk. Replace it, empty the "
                + "directory, `ottla format` it if it is not the only one, and start the node again: it copies its replicas anew."),
        new("KafkaDiskFull", true, "1m",
            "ottla_log_directory_free_bytes{$job} / ottla_log_directory_size_bytes{$job} < 0.05",
            "{{ $labels.logDirectory }} of {{ $labels.instance }} has {{ $value | humanizePercentage }} left",
            "When nothing is left, writes to the partitions on this disk are refused; reads and retention go on, and writes work again as "
                + "soon as there is space. A full disk of the metadata log stops the node.",
            "Find the largest topics (`sort_desc(sum by (topic) (kafka_log_log_size))` on `/metrics/detailed`) and lower their "
                + "`retention.bytes` or `retention.ms`: space is free within a minute. Or move partitions to other brokers "
                + "(`ottla partition plan`). Do not delete files by hand."),
        new("KafkaUncleanLeaderElection", true, "0m",
            "increase(kafka_controller_controllerstats_uncleanleaderelections_total{$job}[10m]) > 0",
            "A partition got a leader that may lack records",
            "Records that were acknowledged may be lost, and consumers may have read what is not there any more.",
            "Nothing brings the records back but the disk of the former leader: keep it. Find out who allowed it "
                + "(`unclean.leader.election.enable`, of the topic or of the cluster, or somebody with `kafka-leader-election`), and tell "
                + "the owners of the topics; the log of the controller names the partitions."),
        new("KafkaUnderReplicatedPartitions", false, "5m",
            "sum by (instance) (kafka_server_replicamanager_underreplicatedpartitions{$job}) > 0",
            "{{ $value }} partitions that {{ $labels.instance }} leads lack replicas",
            "A replica is not in sync: its broker is down, slow, or just comes back. Nothing is lost; there is less to lose now.",
            "Look for brokers that are down or fenced. If all run, `kafka-topics --describe --under-replicated-partitions` shows which "
                + "broker "
                + "is missing in the ISRs: look at its disk (`KafkaDiskFull`), its log, and "
                + "`kafka_server_replicafetchermanager_maxlag`, which falls when it catches up. After a restart, wait."),
        new("KafkaBrokerFenced", false, "2m",
            "max(kafka_controller_kafkacontroller_fencedbrokercount{$job}) > 0",
            "{{ $value }} brokers are fenced",
            "The active controller has not heard from a registered broker: it leads nothing, and clients are not sent to it.",
            "If it was taken away for good, `kafka-cluster unregister --id ID`. If it should run, its `/readyz` and its log say why it "
                + "does "
                + "not reach the controller."),
        new("KafkaMetadataLag", false, "2m",
            "kafka_server_metadataloader_lag{$job} > 1000",
            "{{ $labels.instance }} is {{ $value }} records of metadata behind",
            "The node works by old metadata: it may send clients to former leaders, and does not see new topics.",
            "The node is short of processor time, or a disk is slow while it opens or deletes many partitions. If the lag does not fall, "
                + "restart it: it then begins with a snapshot."),
        new("KafkaReplicaLag", false, "10m",
            "kafka_server_replicafetchermanager_maxlag{$job} > 100000",
            "A replica on {{ $labels.instance }} is {{ $value }} records behind",
            "It takes that replica long to catch up; until then it is not in sync and cannot lead.",
            "After a restart or a move this is normal, and falls. If it does not: is replication throttled "
                + "(`leader.replication.throttled.rate`), the disk or the network at its limit? `num.replica.fetchers` lets more "
                + "partitions "
                + "be fetched at a time."),
        new("KafkaControllerChanges", false, "0m",
            "max(increase(kafka_controller_kafkacontroller_newactivecontrollerscount{$job}[30m])) > 3",
            "The active controller changed {{ $value | humanize }} times within half an hour",
            "Controllers lose their leader again and again. Each change delays elections of partitions' leaders.",
            "The logs of the controllers say why they held elections. Mostly a disk under the metadata log is slow (each commit is an "
                + "fsync), or the network between them loses packets."),
        new("KafkaProduceErrors", false, "5m",
            "sum by (instance) (rate(kafka_server_brokertopicmetrics_failedproducerequests_total{$job,topic=\"\"}[5m])) > 0",
            "Writes on {{ $labels.instance }} fail",
            "Producers get errors that the broker is the cause of. They try again, until `delivery.timeout.ms`.",
            "`sum by (error) (rate(kafka_network_requestmetrics_errors_total{request=\"Produce\"}[5m]))` says which ones. "
                + "NOT_ENOUGH_REPLICAS: see KafkaUnderMinIsrPartitions. KAFKA_STORAGE_ERROR: see KafkaLogDirectoryOffline and "
                + "KafkaDiskFull. "
                + "MESSAGE_TOO_LARGE and INVALID_RECORD are the producer's fault."),
        new("KafkaSlowProduce", false, "5m",
            "kafka_network_requestmetrics_totaltimems{$job,request=\"Produce\",quantile=\"0.99\"} > 1000",
            "One of a hundred writes on {{ $labels.instance }} takes {{ $value }} ms or longer",
            "Producers wait, and their buffers fill up.",
            "If `kafka_network_requestmetrics_remotetimems` is as high, acks=all waits for followers: find the slow one "
                + "(KafkaUnderReplicatedPartitions, KafkaReplicaLag). If `kafka_network_requestmetrics_localtimems` is, this broker's "
                + "disk or "
                + "processor is at its limit."),
        new("KafkaGroupLag", false, "10m",
            "sum by (consumergroup, topic) (kafka_consumergroup_lag_sum{$job}) > 1000 and "
                + "sum by (consumergroup, topic) (delta(kafka_consumergroup_lag_sum{$job}[10m])) > 0",
            "{{ $labels.consumergroup }} is {{ $value }} records behind on {{ $labels.topic }}, and the lag grows",
            "The group reads more slowly than is written. What is older than the topic's retention will be lost to it.",
            "`kafka-consumer-groups --describe --group GROUP` shows whether it has members, and on which partitions the lag is. No "
                + "members: "
                + "start the application. One partition only: a record that it cannot process, or a key that has too many records. All of "
                + "them: start more members, up to the number of partitions. `retention.ms` of the topic says how long there is."),
        new("KafkaHangingTransaction", false, "1m",
            "kafka_server_transaction_coordinator_metrics_active_transaction_total_time_max{$job} > 900000",
            "A transaction has been open for {{ $value }} ms",
            "Consumers with `isolation.level=read_committed` read nothing behind its first record, and compaction does not clean behind "
                + "it.",
            "`kafka-transactions list --running-longer-than-ms 900000` names it, and `describe` its partitions. The coordinator aborts it "
                + "after the producer's `transaction.timeout.ms`. If there is no coordinator for it any more, "
                + "`kafka-transactions find-hanging --broker-id ID` finds it and `abort` ends it."),
        new("KafkaCertificateExpires", false, "1h",
            "ottla_tls_certificate_expiry_timestamp_seconds{$job} - time() < 14 * 86400",
            "The certificate of {{ $labels.listener }} on {{ $labels.instance }} expires in {{ $value | humanizeDuration }}",
            "Afterwards no client and no other node can connect to this listener; connections that are open go on.",
            "Write the new certificate into the file of the old one: the node takes it over within seconds and says so in its log. "
                + "[security.md](security.md) says which files."),
        new("KafkaAuthenticationFailures", false, "5m",
            "sum by (instance, listener) (rate(kafka_server_socket_server_metrics_failed_authentication_total{$job}[5m])) > 1",
            "{{ $value | humanize }} logins per second fail on {{ $labels.listener }} of {{ $labels.instance }}",
            "A client has a wrong or expired secret, speaks without TLS, or somebody guesses.",
            "The log names addresses and reasons. A client with a wrong secret is repaired; an attacker is kept away by the firewall "
                + "and by "
                + "`max.connections.per.ip`."),
        new("KafkaUncleanablePartitions", false, "10m",
            "kafka_log_logcleanermanager_uncleanable_partitions_count{$job} > 0",
            "{{ $labels.instance }} cannot compact {{ $value }} partitions",
            "Their logs grow without end, also those of `__consumer_offsets`, which then take long to load.",
            "The log says why. Mostly a segment is damaged: if the partition has other replicas in sync, delete its directory while the "
                + "node "
                + "is stopped; it is copied anew."),
        new("KafkaFileDescriptors", false, "5m",
            "process_open_fds{$job} / process_max_fds{$job} > 0.85",
            "{{ $labels.instance }} has {{ $value | humanizePercentage }} of its open files in use",
            "At the limit the node refuses connections. Logs keep a reserve.",
            "Raise the limit (`LimitNOFILE` of the service, `ulimit -n`), and look at "
                + "`kafka_server_socket_server_metrics_connection_count`: does a client open connections without end?"),
        new("KafkaThreadsBusy", false, "10m",
            "kafka_network_socketserver_networkprocessoravgidle_percent{$job} < 0.3 "
                + "or kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent{$job} < 0.1",
            "{{ $labels.instance }} has little time left: its threads are idle for {{ $value | humanizePercentage }}",
            "Requests wait for a thread before they are worked on, and each client feels it.",
            "`topk(5, sum by (request) (rate(kafka_network_requestmetrics_requests_total[5m])))` says what is asked for most, and "
                + "`ottla top` which topics. Move leaders to other brokers (`ottla partition plan`), or give the node more processors: "
                + "`num.network.threads` and `num.io.threads` can use as many as there are."),
        new("KafkaMonitoringIncomplete", false, "10m",
            "ottla_metrics_dropped_samples{$job} > 0 or increase(ottla_log_dropped_lines_total{$job}[10m]) > 0",
            "{{ $labels.instance }} leaves out metrics or lines of its log",
            "A metric has more than 10,000 series, mostly of groups or topics that somebody makes without end; or nobody reads the node's "
                + "log as fast as it is written. You see less than there is.",
            "Count topics and groups. For the log: what reads the node's standard error, and has its disk space?"),
    ];
}
