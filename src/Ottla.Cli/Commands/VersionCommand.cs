using System.CommandLine;
using System.Reflection;
using Ottla.StateMachines.Metadata;

namespace Ottla.Cli.Commands;

/// <summary><c>ottla version</c>: prints Ottla's version and the newest Kafka metadata version that it supports.</summary>
internal static class VersionCommand
{
    private const string Unknown = "unknown";

    public static Command Create()
    {
        var command = new Command("version", "Print the version of Ottla and the newest Apache Kafka metadata version that it supports.");
        command.SetAction(_ =>
        {
            Console.WriteLine($"ottla {Version} (Kafka metadata version {MetadataVersion.Latest})");
            return ExitCode.Success;
        });
        return command;
    }

    public static string Version => Informational[0];

    /// <summary>The commit that it was built from; <c>unknown</c> when it was built without git.</summary>
    public static string CommitId => Informational.Length > 1 ? Informational[1] : Unknown;

    private static string[] Informational =>
        (typeof(VersionCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? Unknown)
            .Split('+', 2);
}
