using System.CommandLine;
using System.Text;
using Microsoft.Extensions.Logging;
using Ottla.Cli.Commands;
using Ottla.Cli.KafkaTools;
using Ottla.Client;
using Ottla.Configuration;

namespace Ottla.Cli.Framework;

/// <summary>What a command works with: its arguments, the cluster, and where it prints. One for each invocation.</summary>
internal sealed class CommandContext : IAsyncDisposable
{
    private readonly StopSignals _signals = new();
    private readonly BufferedStream _bytes;
    private Dictionary<string, string>? _properties;
    private ToolClient? _cluster;

    /// <summary>Makes a context for standard input, output and error.</summary>
    public CommandContext(ParseResult arguments)
    {
        Arguments = arguments;
        const int bufferBytes = 64 * 1024;
        _bytes = new BufferedStream(Console.OpenStandardOutput(), bufferBytes);
        Output = new StreamWriter(_bytes, new UTF8Encoding(false), 1024) { AutoFlush = false };
        Error = new StreamWriter(Console.OpenStandardError(), new UTF8Encoding(false), 1024) { AutoFlush = true };
        Format = RowFormats.Of(arguments.GetValue(ConnectionOptions.Format));
    }

    /// <summary>The arguments.</summary>
    public ParseResult Arguments { get; }

    /// <summary>Standard output, for text.</summary>
    public StreamWriter Output { get; }

    /// <summary>Standard output, for bytes.</summary>
    public Stream Bytes => _bytes;

    /// <summary>Standard error.</summary>
    public TextWriter Error { get; }

    /// <summary>How rows are printed.</summary>
    public RowFormat Format { get; }

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; } = TimeProvider.System;

    /// <summary>Cancelled when the process is told to end.</summary>
    public CancellationToken Stopped => _signals.Token;

    /// <summary>What the process ends with after a signal.</summary>
    public int SignalExitCode => _signals.ExitCode ?? Commands.ExitCode.Failure;

    /// <summary>What the process ends with: success, unless something failed.</summary>
    public int ExitCode { get; private set; }

    /// <summary>The profiles of the user.</summary>
    public Profiles Profiles { get; } = Profiles.OfUser(Environment.GetEnvironmentVariables());

    /// <summary>The properties of the client.</summary>
    public Dictionary<string, string> Properties =>
        _properties ??= ConnectionOptions.Read(Arguments, Profiles, Environment.GetEnvironmentVariables());

    /// <summary>Whom the command asks first.</summary>
    public string Servers => Properties.GetValueOrDefault("bootstrap.controllers") ?? Properties["bootstrap.servers"];

    /// <summary>The client of the cluster. It connects on first use.</summary>
    public ToolClient Cluster => _cluster ??= Open();

    /// <summary>The administration of the cluster.</summary>
    public IAdmin Admin => Cluster.Admin;

    /// <summary>What a tool of Kafka's is run with to print where this command prints.</summary>
    public ToolContext Tool(string name, IReadOnlyList<string> arguments) => new(name, arguments, _bytes, Output, Error);

    /// <summary>Says what the process ends with.</summary>
    public void ExitWith(int exitCode) => ExitCode = exitCode;

    /// <summary>The value of an option.</summary>
    public T? Value<T>(Option<T> option) => Arguments.GetValue(option);

    /// <summary>The value of an argument.</summary>
    public T? Value<T>(Argument<T> argument) => Arguments.GetValue(argument);

    /// <summary>Begins rows.</summary>
    /// <param name="columns">The columns.</param>
    public RowWriter Rows(params string[] columns) =>
        new(Output, Format, columns, Value(ConnectionOptions.Columns), widthMax: TableWidthMax);

    /// <summary>How wide a table may be: as the terminal, and without a bound elsewhere, where others read it.</summary>
    private int TableWidthMax =>
        Console.IsOutputRedirected || Value(ConnectionOptions.Format) == RowFormats.Wide || Console.WindowWidth <= 0
            ? int.MaxValue : Console.WindowWidth;

    /// <summary>Prints one thing: a line for each of what is known of it, or a row.</summary>
    public void Print(params (string Name, object? Value)[] fields)
    {
        var writer = new RowWriter(
            Output, Format, [.. fields.Select(field => field.Name)], Value(ConnectionOptions.Columns), isRecord: true);
        writer.Add([.. fields.Select(field => field.Value)]);
        writer.End();
    }

    /// <summary>Tells what was done: as a sentence, or as a row.</summary>
    public void Done(string sentence, params (string Name, object? Value)[] fields)
    {
        if (Format == RowFormat.Text)
            Output.WriteLine(sentence);
        else
            Print(fields);
    }

    /// <summary>Tells that one of several things failed; the command goes on, and its exit code says so.</summary>
    /// <param name="what">What failed: <c>topic orders</c>.</param>
    /// <param name="result">Its outcome.</param>
    /// <returns>Whether it failed.</returns>
    public bool Failed(string what, AdminResult result)
    {
        if (result.IsSuccess)
            return false;
        Fail($"{what}: {new KafkaException(result.Error, result.Message).Message}");
        return true;
    }

    /// <summary>Tells that something failed; the command goes on, and its exit code says so.</summary>
    public void Fail(string message)
    {
        Output.Flush();
        Error.WriteLine(message);
        ExitCode = Commands.ExitCode.Failure;
    }

    /// <summary>Tells something beside the result, on standard error.</summary>
    public void Note(string message)
    {
        Output.Flush();
        Error.WriteLine(message);
    }

    /// <summary>Asks before something is lost.</summary>
    /// <param name="question">What is to be done: <c>Delete topic a and its records?</c></param>
    /// <returns>Whether the command goes on.</returns>
    /// <exception cref="ConfigException">There is nobody to ask, and no <c>--yes</c>.</exception>
    public bool Confirm(string question)
    {
        if (Value(CommonOptions.Yes))
            return true;
        if (Console.IsInputRedirected)
            throw new ConfigException($"{question} There is no terminal to ask: repeat the command with --yes.");
        Error.Write($"{question} [y/N] ");
        if (Console.In.ReadLine()?.Trim().ToLowerInvariant() is "y" or "yes")
            return true;
        Fail("Nothing was changed.");
        return false;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_cluster is not null)
            await _cluster.DisposeAsync();
        await Output.DisposeAsync();
        await Error.DisposeAsync();
        _signals.Dispose();
    }

    private ToolClient Open()
    {
        try
        {
            return ToolClient.Open(Properties, Value(ConnectionOptions.Verbose) ? LogLevel.Information : LogLevel.Error);
        }
        catch (JavaException e)
        {
            throw new ConfigException(e.Message);
        }
    }
}
