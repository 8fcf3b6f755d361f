using System.CommandLine;
using Ottla.Cli.Doctor;
using Ottla.Cli.Framework;
using Ottla.Cli.Nouns;

namespace Ottla.Cli.Commands;

/// <summary>
/// The table of commands of <c>ottla</c>: what parses command lines, and what help, completions and docs/cli.md are made of.
/// </summary>
internal static class RootCommandFactory
{
    public static RootCommand Create()
    {
        var root = new RootCommand(
            "Ottla: an Apache Kafka compatible broker in one executable, and a command line for every Kafka. Kafka's own tools are here "
                + "too, "
                + "by their names: 'ottla kafka-topics --help'.")
        {
            StartCommand.Create(),
            FormatCommand.Create(),
            StorageCommand.Create(),
            LogCommand.Create(),
            TopicNoun.Create(),
            ProduceCommand.Create(),
            ConsumeCommand.Create(),
            TopicNoun.CreateOffsets("offsets", "offsets orders"),
            GroupNoun.Create(),
            ConfigNoun.Create(),
            AclNoun.Create(),
            UserNoun.Create(),
            TokenNoun.Create(),
            QuotaNoun.Create(),
            ClusterNoun.Create(),
            QuorumNoun.Create(),
            FeatureNoun.Create(),
            PartitionNoun.Create(),
            LogdirNoun.Create(),
            TxnNoun.Create(),
            BenchNoun.Create(),
            MetricsCommand.Create(),
            TopCommand.Create(),
            DoctorCommand.Create(),
            ProfileNoun.Create(),
            CompletionCommand.Create(),
            GenerateCommand.Create(),
            RandomUuidCommand.Create(),
            VersionCommand.Create(),
        };
        CommandHelp.Install(root);
        return root;
    }
}
