using System.CommandLine;
using Ottla.Cli.KafkaTools;
using Ottla.Client;
using Ottla.Configuration;

namespace Ottla.Cli.Framework;

/// <summary>
/// A command that asks a cluster: a row of the table of commands. Its name, summary, example, arguments and options are what parses it,
/// and what help, completions and docs/cli.md are made of.
/// </summary>
internal sealed class ClusterCommand : Command
{
    /// <summary>Makes a command.</summary>
    /// <param name="name">Its name under its noun: <c>list</c>.</param>
    /// <param name="summary">What it does, in a sentence or two.</param>
    /// <param name="example">A command line that shows it, without <c>ottla</c>.</param>
    /// <param name="run">What it does. Failures of single things are told to the context; others are thrown.</param>
    /// <param name="symbols">Its own arguments and options.</param>
    public ClusterCommand(string name, string summary, string example, Func<CommandContext, Task> run, params Symbol[] symbols)
        : base(name, summary)
    {
        Example = example;
        foreach (var symbol in symbols)
        {
            if (symbol is Option option)
                Options.Add(option);
            else
                Arguments.Add((Argument)symbol);
        }

        foreach (var option in ConnectionOptions.All)
            Options.Add(option);
        Validators.Add(ConnectionOptions.Validate);
        SetAction((arguments, _) => RunAsync(arguments, run));
    }

    /// <summary>A command line that shows the command, without <c>ottla</c>.</summary>
    public string Example { get; }

    /// <summary>Makes a noun and its commands.</summary>
    public static Command Noun(string name, string summary, params Command[] commands)
    {
        var noun = new Command(name, summary);
        foreach (var command in commands)
            noun.Subcommands.Add(command);
        return noun;
    }

    /// <summary>Adds other names that the command is known by.</summary>
    public ClusterCommand Known(params string[] aliases)
    {
        foreach (var alias in aliases)
            Aliases.Add(alias);
        return this;
    }

    private static async Task<int> RunAsync(ParseResult arguments, Func<CommandContext, Task> run)
    {
        await using var context = new CommandContext(arguments);
        try
        {
            await run(context);
            await context.Output.FlushAsync();
            return context.ExitCode;
        }
        catch (Exception e) when (Told(e))
        {
            await context.Output.FlushAsync();
            await context.Error.WriteLineAsync(e is KafkaTimeoutException || IsTimeout(e)
                ? $"{e.Message}\nAsked: {context.Servers}." : e.Message);
            return e is ConfigException ? Commands.ExitCode.Usage : Commands.ExitCode.Failure;
        }
        catch (OperationCanceledException) when (context.Stopped.IsCancellationRequested)
        {
            await context.Output.FlushAsync();
            return context.SignalExitCode;
        }
    }

    /// <summary>Whether an exception is for the user; any other is a bug.</summary>
    private static bool Told(Exception e) => e
        is KafkaException or JavaException or ToolException or ConfigException or IOException or UnauthorizedAccessException;

    private static bool IsTimeout(Exception e) =>
        e is JavaException { Class: "org.apache.kafka.common.errors.TimeoutException" };
}
