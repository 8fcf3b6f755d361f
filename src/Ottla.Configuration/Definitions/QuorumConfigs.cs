using static Ottla.Configuration.ConfigRow;
using static Ottla.Configuration.ConfigValidator;

namespace Ottla.Configuration.Definitions;

/// <summary>The configs of a node's identity and of the metadata quorum.</summary>
internal static class QuorumConfigs
{
    public static readonly ConfigDefinition[] Rows =
    [
        RequiredList("process.roles", NonEmptyListOf("broker", "controller"), ReadOnly, High,
            "The roles of this node: broker, controller, or both."),
        RequiredInt("node.id", AtLeast(0), ReadOnly, High, "The id of this node, unique in the cluster."),
        Int("initial.broker.registration.timeout.ms", 60_000, null, ReadOnly, Medium,
            "How long a starting broker tries to register with the controller before it gives up and exits."),
        Int("broker.heartbeat.interval.ms", 2000, null, ReadOnly, Medium, "Time between a broker's heartbeats to the controller."),
        Int("broker.session.timeout.ms", 9000, null, ReadOnly, Medium,
            "How long the controller waits for a heartbeat before it fences a broker."),
        RequiredList("controller.listener.names", AnyList(allowEmpty: false), ReadOnly, High,
            "The names of the controller's listeners; brokers talk to the controller through the first one."),
        Text("sasl.mechanism.controller.protocol", "GSSAPI", null, ReadOnly, High, "The SASL mechanism used to talk to controllers."),
        List("controller.quorum.voters", "", ConfigRules.QuorumVoters, ReadOnly, High,
            "The voters of a static quorum, as id@host:port entries."),
        List("controller.quorum.bootstrap.servers", "", ConfigRules.BootstrapServers, ReadOnly, High,
            "Endpoints from which a node finds the quorum, as host:port entries."),
        Int("controller.quorum.election.timeout.ms", 1000, AtLeast(0), ReadOnly, High,
            "How long a candidate waits for votes before it starts another election."),
        Int("controller.quorum.fetch.timeout.ms", 2000, AtLeast(0), ReadOnly, High,
            "How long a follower goes without a successful fetch, or a leader without fetches from a majority, before an election."),
        Int("controller.quorum.election.backoff.max.ms", 1000, AtLeast(0), ReadOnly, High,
            "Longest random wait before another election, which keeps candidates from colliding."),
        Int("controller.quorum.append.linger.ms", 25, AtLeast(0), ReadOnly, Medium,
            "How long the quorum leader gathers metadata records before it writes them out."),
        Int("controller.quorum.request.timeout.ms", 2000, AtLeast(0), ReadOnly, Medium,
            "How long a node waits for the answer to a quorum request."),
        Int("controller.quorum.retry.backoff.ms", 20, AtLeast(0), ReadOnly, Low, "Wait before a failed quorum request is tried again."),
        Bool("controller.quorum.auto.join.enable", false, ReadOnly, Low, "Whether a controller that is not a voter asks to become one."),
        Int("controller.quorum.fetch.snapshot.max.bytes", 1_048_576, AtLeast(1), ReadOnly, Low,
            "Most bytes of a metadata snapshot in one answer."),
        Int("controller.quorum.fetch.max.bytes", 1_048_576, AtLeast(1), ReadOnly, Low, "Most bytes of the metadata log in one answer."),
        Long("metadata.log.max.record.bytes.between.snapshots", 20_971_520, AtLeast(1), ReadOnly, High,
            "Bytes of new metadata records after which a snapshot is made."),
        Long("metadata.log.max.snapshot.interval.ms", 3_600_000, AtLeast(0), ReadOnly, High,
            "Longest time between snapshots while there are records not yet in one; 0 turns this off."),
        Text("metadata.log.dir", null, null, ReadOnly, High, "Where the metadata log lives; the first log directory when not set."),
        Int("metadata.log.segment.bytes", 1_073_741_824, AtLeast(8_388_608), ReadOnly, High,
            "Largest size of a segment of the metadata log."),
        Long("metadata.log.segment.ms", 604_800_000, null, ReadOnly, High,
            "Longest age of the active segment of the metadata log before it is rolled."),
        Long("metadata.max.retention.bytes", 104_857_600, null, ReadOnly, High,
            "Size of the metadata log and snapshots beyond which old ones are deleted."),
        Long("metadata.max.retention.ms", 604_800_000, null, ReadOnly, High,
            "Age beyond which metadata log segments and snapshots are deleted."),
        Int("metadata.max.idle.interval.ms", 500, AtLeast(0), ReadOnly, Low,
            "How often the active controller writes a no-op record when nothing else happens; 0 for never."),
    ];
}
