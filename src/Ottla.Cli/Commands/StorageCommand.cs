using System.CommandLine;
using Ottla.Broker.Directories;
using Ottla.Configuration;
using Ottla.Storage.Files;

namespace Ottla.Cli.Commands;

/// <summary><c>ottla storage</c>: shows a node's log directories.</summary>
internal static class StorageCommand
{
    public static Command Create()
    {
        var configuration = new ConfigurationOptions();
        var info = new Command(
            "info", "Print the log directories of a node, its ids in them, and their problems, as kafka-storage info does.");
        configuration.AddTo(info);
        info.SetAction(arguments => Info(configuration, arguments));
        return new Command("storage", "Show the log directories of a node.") { info };
    }

    private static int Info(ConfigurationOptions configuration, ParseResult arguments)
    {
        try
        {
            var report = StorageReport.Of(configuration.Load(arguments), new RealFileSystem());
            Console.Write(StorageReportText.Of(report));
            return report.Problems.Count == 0 ? ExitCode.Success : ExitCode.Failure;
        }
        catch (ConfigException e)
        {
            Console.Error.WriteLine(e.Message);
            return ExitCode.Usage;
        }
    }
}
