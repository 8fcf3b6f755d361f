using System.Text;
using Ottla.Cli.KafkaTools.Options;

namespace Ottla.Cli.KafkaTools;

/// <summary>An invocation of a tool of Kafka's.</summary>
/// <param name="Tool">The tool: <c>kafka-topics</c>.</param>
/// <param name="Arguments">Its arguments.</param>
internal sealed record ToolInvocation(string Tool, IReadOnlyList<string> Arguments);

/// <summary>Runs the tools of Kafka that this executable has under their names.</summary>
internal static class KafkaToolRunner
{
    private const string ScriptSuffix = ".sh";

    /// <summary>Whether the command line means a tool: by the name of the program, or by the first argument.</summary>
    /// <param name="program">The path by which the program was called.</param>
    /// <param name="arguments">The arguments.</param>
    /// <returns>The invocation; null when it is one of Ottla's own commands.</returns>
    public static ToolInvocation? Find(string program, string[] arguments)
    {
        if (NameOf(Path.GetFileName(program)) is { } tool)
            return new ToolInvocation(tool, arguments);
        return arguments.Length > 0 && NameOf(arguments[0]) is { } named ? new ToolInvocation(named, arguments[1..]) : null;
    }

    /// <summary>Runs a tool on standard input, output and error.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(ToolInvocation invocation)
    {
        await using var bytes = new BufferedStream(Console.OpenStandardOutput(), 64 * 1024);
        await using var output = new StreamWriter(bytes, new UTF8Encoding(false), 1024, leaveOpen: true);
        await using var error = new StreamWriter(Console.OpenStandardError(), new UTF8Encoding(false), 1024) { AutoFlush = true };
        return await RunAsync(new ToolContext(invocation.Tool, invocation.Arguments, bytes, output, error));
    }

    /// <summary>Runs a tool. Its failures become a message and an exit code.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        try
        {
            return await KafkaToolCatalog.Tools[context.Tool](context);
        }
        catch (ToolEndException e)
        {
            return e.ExitCode;
        }
        catch (UsageException e)
        {
            await context.Output.FlushAsync();
            await context.Error.WriteLineAsync(e.Message);
            OptionHelp.Write(OptionTable.Of(context.Tool), context.Error);
            return 1;
        }
        catch (ArgumentParserException e)
        {
            await context.Output.FlushAsync();
            await context.Error.WriteLineAsync($"{context.Tool}: error: {e.Message}");
            return 1;
        }
        catch (Exception e) when (e is OptionException or ToolException or JavaException)
        {
            await context.Output.FlushAsync();
            await context.Error.WriteLineAsync(e.Message);
            return 1;
        }
    }

    private static string? NameOf(string name)
    {
        if (name.EndsWith(ScriptSuffix, StringComparison.Ordinal))
            name = name[..^ScriptSuffix.Length];
        return KafkaToolCatalog.Tools.ContainsKey(name) ? name : null;
    }
}
