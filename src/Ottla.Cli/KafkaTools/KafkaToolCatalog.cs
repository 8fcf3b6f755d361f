using System.Collections.Frozen;
using Ottla.Cli.KafkaTools.Cluster;
using Ottla.Cli.KafkaTools.Configs;
using Ottla.Cli.KafkaTools.Groups;
using Ottla.Cli.KafkaTools.MetadataShell;
using Ottla.Cli.KafkaTools.Perf;
using Ottla.Cli.KafkaTools.Placement;
using Ottla.Cli.KafkaTools.Records;
using Ottla.Cli.KafkaTools.Security;
using Ottla.Cli.KafkaTools.Storage;
using Ottla.Cli.KafkaTools.Topics;
using Ottla.Cli.KafkaTools.Transactions;

namespace Ottla.Cli.KafkaTools;

/// <summary>The tools by their names.</summary>
internal static class KafkaToolCatalog
{
    /// <summary>What runs each tool; it returns the exit code.</summary>
    public static readonly FrozenDictionary<string, Func<ToolContext, Task<int>>> Tools =
        new Dictionary<string, Func<ToolContext, Task<int>>>
        {
            ["kafka-topics"] = TopicsTool.RunAsync,
            ["kafka-get-offsets"] = GetOffsetsTool.RunAsync,
            ["kafka-delete-records"] = DeleteRecordsTool.RunAsync,
            ["kafka-console-producer"] = ConsoleProducerTool.RunAsync,
            ["kafka-console-consumer"] = ConsoleConsumerTool.RunAsync,
            ["kafka-groups"] = GroupsTool.RunAsync,
            ["kafka-consumer-groups"] = ConsumerGroupsTool.RunAsync,
            ["kafka-configs"] = ConfigsTool.RunAsync,
            ["kafka-cluster"] = ClusterTool.RunAsync,
            ["kafka-broker-api-versions"] = BrokerApiVersionsTool.RunAsync,
            ["kafka-log-dirs"] = LogDirsTool.RunAsync,
            ["kafka-features"] = FeaturesTool.RunAsync,
            ["kafka-metadata-quorum"] = MetadataQuorumTool.RunAsync,
            ["kafka-transactions"] = TransactionsTool.RunAsync,
            ["kafka-storage"] = StorageTool.RunAsync,
            ["kafka-dump-log"] = DumpLogTool.RunAsync,
            ["kafka-metadata-shell"] = MetadataShellTool.RunAsync,
            ["kafka-acls"] = AclsTool.RunAsync,
            ["kafka-delegation-tokens"] = DelegationTokensTool.RunAsync,
            ["kafka-leader-election"] = LeaderElectionTool.RunAsync,
            ["kafka-reassign-partitions"] = ReassignPartitionsTool.RunAsync,
            ["kafka-client-metrics"] = ClientMetricsTool.RunAsync,
            ["kafka-producer-perf-test"] = ProducerPerfTool.RunAsync,
            ["kafka-consumer-perf-test"] = ConsumerPerfTool.RunAsync,
            ["kafka-verifiable-producer"] = VerifiableProducerTool.RunAsync,
            ["kafka-verifiable-consumer"] = VerifiableConsumerTool.RunAsync,
            ["kafka-e2e-latency"] = EndToEndLatencyTool.RunAsync,
            ["kafka-share-groups"] = OtherGroupsTool.RunShareAsync,
            ["kafka-streams-groups"] = OtherGroupsTool.RunStreamsAsync,
            ["kafka-streams-application-reset"] = StreamsResetTool.RunAsync,
            ["kafka-console-share-consumer"] = ConsoleShareConsumerTool.RunAsync,
        }.ToFrozenDictionary();
}
