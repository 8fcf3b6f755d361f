using System.CommandLine;
using Ottla.Cli.KafkaTools;

namespace Ottla.Cli.Commands;

/// <summary><c>ottla generate</c>: makes files around the executable.</summary>
internal static class GenerateCommand
{
    public static Command Create()
    {
        var command = new Command("generate", "Make files around the executable.") { CreateKafkaTools() };
        foreach (var each in GenerateOperations.Create())
            command.Subcommands.Add(each);
        return command;
    }

    private static Command CreateKafkaTools()
    {
        var directory = new Argument<string>("directory") { Description = "Where the links go.", HelpName = "DIR" };
        var command = new Command(
            "kafka-tools", "Make links by the names of Kafka's scripts (kafka-topics.sh and its sisters) that lead to this executable.")
        {
            directory,
        };
        command.SetAction(arguments =>
        {
            try
            {
                var count = GenerateLinks.Make(arguments.GetValue(directory)!, Environment.ProcessPath!);
                Console.WriteLine($"Made {count} links in {arguments.GetValue(directory)}.");
                return ExitCode.Success;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Console.Error.WriteLine(e.Message);
                return ExitCode.Failure;
            }
        });
        return command;
    }
}
