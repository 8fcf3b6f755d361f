using System.Collections.Frozen;

namespace Ottla.Configuration;

/// <summary>
/// The configs that Ottla supports. This is the only list: a name is added when a component starts to read it. A static value of any other
/// config causes a warning at start, unless it is the default.
/// </summary>
public static class EffectiveConfigs
{
    private static readonly FrozenSet<string> s_broker = FrozenSet.ToFrozenSet(
        [
            // Identity and quorum.
            "process.roles", "node.id", "broker.id", "controller.listener.names", "controller.quorum.voters",
            "controller.quorum.bootstrap.servers", "initial.broker.registration.timeout.ms", "controller.quorum.election.timeout.ms",
            "controller.quorum.fetch.timeout.ms", "controller.quorum.fetch.max.bytes", "controller.quorum.fetch.snapshot.max.bytes",
            "controller.quorum.auto.join.enable", "controller.socket.timeout.ms", "broker.heartbeat.interval.ms",
            "controller.quorum.election.backoff.max.ms", "controller.quorum.request.timeout.ms", "controller.quorum.retry.backoff.ms",
            "controller.quorum.append.linger.ms",
            "metadata.log.dir", "metadata.log.segment.bytes", "metadata.log.segment.ms", "metadata.max.retention.bytes",
            "metadata.max.retention.ms", "metadata.log.max.record.bytes.between.snapshots", "metadata.log.max.snapshot.interval.ms",

            "ottla.quorum.election.on.process.end.enable", "ottla.broker.fencing.on.process.end.enable",

            // Listeners, connections, requests.
            "listeners", "advertised.listeners", "listener.security.protocol.map", "inter.broker.listener.name",
            "authorizer.class.name", "early.start.listeners", "delegation.token.secret.key", "delegation.token.max.lifetime.ms",
            "delegation.token.expiry.time.ms", "delegation.token.expiry.check.interval.ms",
            "controller.quota.window.num", "controller.quota.window.size.seconds",
            "security.inter.broker.protocol", "socket.send.buffer.bytes", "socket.receive.buffer.bytes", "socket.request.max.bytes",
            "socket.listen.backlog.size", "max.connections", "max.connection.creation.rate", "quota.window.num",
                "quota.window.size.seconds",
            "max.connections.per.ip", "max.connections.per.ip.overrides", "connections.max.idle.ms", "num.network.threads",
            "num.io.threads", "queued.max.requests", "message.max.bytes", "max.decompressed.message.bytes", "fetch.max.bytes",
            "max.incremental.fetch.session.cache.slots", "max.request.partition.size.limit", "broker.rack", "delete.topic.enable",
            "telemetry.max.bytes",

            // TLS and SASL.
            "connection.failed.authentication.delay.ms", "connections.max.reauth.ms", "sasl.server.max.receive.size",
            "sasl.enabled.mechanisms", "sasl.jaas.config", "sasl.server.callback.handler.class",
            "sasl.mechanism.inter.broker.protocol", "sasl.mechanism.controller.protocol", "sasl.oauthbearer.jwks.endpoint.url",
            "sasl.oauthbearer.jwks.endpoint.refresh.ms", "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
            "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", "sasl.oauthbearer.expected.audience",
            "sasl.oauthbearer.expected.issuer", "sasl.oauthbearer.allow.unverified.audience",
            "sasl.oauthbearer.allow.unverified.issuer", "sasl.oauthbearer.scope.claim.name", "sasl.oauthbearer.sub.claim.name",
            "sasl.oauthbearer.clock.skew.seconds", "ssl.client.auth", "ssl.principal.mapping.rules", "ssl.enabled.protocols",
            "ssl.cipher.suites", "ssl.keystore.type", "ssl.keystore.location", "ssl.keystore.password", "ssl.key.password",
            "ssl.keystore.key", "ssl.keystore.certificate.chain", "ssl.truststore.type", "ssl.truststore.location",
            "ssl.truststore.password", "ssl.truststore.certificates", "ssl.endpoint.identification.algorithm", "ssl.allow.dn.changes",
            "ssl.allow.san.changes", "ottla.login.timeout.ms", "ottla.login.connections.per.ip.max", "ottla.monitoring.listener",
            "ottla.otlp.endpoint", "ottla.otlp.headers", "ottla.otlp.interval.ms",

            // Controllers.
            "broker.session.timeout.ms", "metadata.max.idle.interval.ms", "auto.leader.rebalance.enable",
            "leader.imbalance.check.interval.seconds", "unclean.leader.election.enable", "unclean.leader.election.interval.ms",

            // Logs and topic defaults.
            "num.partitions", "default.replication.factor", "auto.create.topics.enable", "min.insync.replicas", "log.dir", "log.dirs",
            "cordoned.log.dirs", "log.dir.failure.timeout.ms", "replica.alter.log.dirs.io.max.bytes.per.second",
            "log.segment.bytes", "log.roll.ms", "log.roll.hours", "log.roll.jitter.ms", "log.roll.jitter.hours", "log.retention.ms",
            "log.retention.minutes", "log.retention.hours", "log.retention.bytes", "log.retention.check.interval.ms",
            "log.cleanup.policy", "log.index.size.max.bytes", "log.index.interval.bytes", "log.flush.interval.messages",
            "log.flush.interval.ms", "log.flush.scheduler.interval.ms", "log.flush.offset.checkpoint.interval.ms",
            "log.flush.start.offset.checkpoint.interval.ms", "log.segment.delete.delay.ms", "log.preallocate",
            "log.message.timestamp.type", "log.message.timestamp.before.max.ms", "log.message.timestamp.after.max.ms", "compression.type",
            "compression.gzip.level", "compression.lz4.level", "compression.zstd.level", "log.cleaner.max.compaction.lag.ms",
            "log.cleaner.min.compaction.lag.ms", "log.cleaner.delete.retention.ms", "log.cleaner.min.cleanable.ratio", "log.cleaner.enable",
            "log.cleaner.threads", "log.cleaner.dedupe.buffer.size", "log.cleaner.io.buffer.size", "log.cleaner.io.buffer.load.factor",
            "log.cleaner.io.max.bytes.per.second", "log.cleaner.backoff.ms",
            "num.recovery.threads.per.data.dir", "replica.high.watermark.checkpoint.interval.ms", "request.timeout.ms",

            // Replication.
            "num.replica.fetchers", "replica.fetch.max.bytes", "replica.fetch.wait.max.ms", "replica.fetch.backoff.ms",
            "replica.fetch.min.bytes", "replica.fetch.response.max.bytes", "replica.socket.timeout.ms", "replica.selector.class",
            "replica.socket.receive.buffer.bytes",
            "leader.replication.throttled.rate", "follower.replication.throttled.rate", "replication.quota.window.num",
            "replication.quota.window.size.seconds",

            // Producers and transactions.
            "producer.id.expiration.ms", "transaction.state.log.min.isr", "transaction.state.log.load.buffer.size",
            "transaction.state.log.replication.factor", "transaction.state.log.num.partitions", "transaction.state.log.segment.bytes",
            "transaction.partition.verification.enable", "transactional.id.expiration.ms", "transaction.max.timeout.ms",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms", "transaction.remove.expired.transaction.cleanup.interval.ms",
            "transaction.two.phase.commit.enable", "add.partitions.to.txn.retry.backoff.max.ms", "add.partitions.to.txn.retry.backoff.ms",

            // Groups and offsets.
            "group.coordinator.rebalance.protocols", "group.coordinator.append.linger.ms", "group.coordinator.cached.buffer.max.bytes",
            "offsets.topic.replication.factor", "offsets.topic.num.partitions", "offsets.topic.segment.bytes",
            "offsets.topic.compression.codec", "offsets.commit.timeout.ms", "offsets.load.buffer.size", "offset.metadata.max.bytes",
            "offsets.retention.minutes", "offsets.retention.check.interval.ms", "group.min.session.timeout.ms",
            "group.max.session.timeout.ms", "group.initial.rebalance.delay.ms", "group.max.size", "group.consumer.session.timeout.ms",
            "group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms",
            "group.consumer.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms",
            "group.consumer.max.heartbeat.interval.ms", "group.consumer.max.size", "group.consumer.assignment.interval.ms",
            "group.consumer.min.assignment.interval.ms", "group.consumer.max.assignment.interval.ms",
            "group.consumer.regex.refresh.interval.ms", "group.consumer.assignors", "group.consumer.migration.policy",

            // Share groups.
            "group.share.session.timeout.ms", "group.share.min.session.timeout.ms", "group.share.max.session.timeout.ms",
            "group.share.heartbeat.interval.ms", "group.share.min.heartbeat.interval.ms", "group.share.max.heartbeat.interval.ms",
            "group.share.assignment.interval.ms", "group.share.min.assignment.interval.ms", "group.share.max.assignment.interval.ms",
            "group.share.record.lock.duration.ms", "group.share.min.record.lock.duration.ms", "group.share.max.record.lock.duration.ms",
            "group.share.delivery.count.limit", "group.share.min.delivery.count.limit", "group.share.max.delivery.count.limit",
            "group.share.partition.max.record.locks", "group.share.min.partition.max.record.locks",
            "group.share.max.partition.max.record.locks", "group.share.max.share.sessions",
            "group.share.max.size", "group.share.initialize.retry.interval.ms", "unstable.feature.versions.enable",

            // The share coordinator.
            "share.coordinator.state.topic.num.partitions", "share.coordinator.state.topic.replication.factor",
            "share.coordinator.state.topic.min.isr", "share.coordinator.state.topic.segment.bytes",
            "share.coordinator.state.topic.compression.codec", "share.coordinator.snapshot.update.records.per.snapshot",
            "share.coordinator.write.timeout.ms", "share.coordinator.append.linger.ms", "share.coordinator.load.buffer.size",
            "share.coordinator.cached.buffer.max.bytes", "share.coordinator.state.topic.prune.interval.ms",
            "share.coordinator.cold.partition.snapshot.interval.ms",
        ],
        StringComparer.Ordinal);

    private static readonly FrozenSet<string> s_topic = FrozenSet.ToFrozenSet(
        [
            "segment.bytes", "segment.ms", "segment.jitter.ms", "segment.index.bytes", "flush.messages", "flush.ms", "retention.bytes",
            "retention.ms", "max.message.bytes", "max.decompressed.message.bytes", "index.interval.bytes", "file.delete.delay.ms",
                "cleanup.policy",
            "min.cleanable.dirty.ratio", "min.compaction.lag.ms", "max.compaction.lag.ms", "delete.retention.ms",
            "min.insync.replicas", "compression.type", "compression.gzip.level", "compression.lz4.level", "compression.zstd.level",
            "preallocate", "message.timestamp.type", "message.timestamp.before.max.ms", "message.timestamp.after.max.ms",
            "unclean.leader.election.enable", "internal.segment.bytes", "leader.replication.throttled.replicas",
            "follower.replication.throttled.replicas",
        ],
        StringComparer.Ordinal);

    private static readonly FrozenSet<string> s_group = FrozenSet.ToFrozenSet(
        [
            "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms", "consumer.assignment.interval.ms",
            "share.session.timeout.ms", "share.heartbeat.interval.ms", "share.assignment.interval.ms",
            "share.record.lock.duration.ms", "share.delivery.count.limit", "share.partition.max.record.locks", "share.auto.offset.reset",
            "share.isolation.level", "share.renew.acknowledge.enable",
        ],
        StringComparer.Ordinal);

    private static readonly FrozenSet<string> s_clientMetrics =
        FrozenSet.ToFrozenSet(["metrics", "interval.ms", "match"], StringComparer.Ordinal);

    /// <summary>Whether Ottla supports a config.</summary>
    public static bool Contains(ConfigResourceType scope, string name) => Names(scope).Contains(name);

    /// <summary>The supported configs of one kind of resource.</summary>
    public static IReadOnlySet<string> Names(ConfigResourceType scope) => scope switch
    {
        ConfigResourceType.Broker => s_broker,
        ConfigResourceType.Topic => s_topic,
        ConfigResourceType.Group => s_group,
        ConfigResourceType.ClientMetrics => s_clientMetrics,
        _ => FrozenSet<string>.Empty,
    };
}
