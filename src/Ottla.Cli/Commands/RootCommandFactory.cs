using System.CommandLine;

namespace Ottla.Cli.Commands;

/// <summary>The command line of <c>ottla</c>.</summary>
internal static class RootCommandFactory
{
    public static RootCommand Create() => new("Ottla: an Apache Kafka compatible broker in one executable.")
    {
        StartCommand.Create(),
        FormatCommand.Create(),
        StorageCommand.Create(),
        QuorumCommand.Create(),
        FeaturesCommand.Create(),
        PartitionCommand.Create(),
        LogCommand.Create(),
        GenerateCommand.Create(),
        RandomUuidCommand.Create(),
        VersionCommand.Create(),
    };
}
