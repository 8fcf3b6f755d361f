using System.Globalization;

namespace Ottla.Cli.KafkaTools;

/// <summary>What a tool is run with. Owned by the command line; one for each invocation.</summary>
/// <param name="Tool">The name that it was called by, without <c>.sh</c>: <c>kafka-topics</c>.</param>
/// <param name="Arguments">The arguments.</param>
/// <param name="Bytes">Standard output, for bytes: what was written to <paramref name="Output"/> has to be flushed before.</param>
/// <param name="Output">Standard output, for text.</param>
/// <param name="Error">Standard error.</param>
internal sealed record ToolContext(
    string Tool, IReadOnlyList<string> Arguments, Stream Bytes, TextWriter Output, TextWriter Error)
{
    /// <summary>Properties of the client that the caller has already; options count before them.</summary>
    public IReadOnlyDictionary<string, string> Properties { get; init; } = new Dictionary<string, string>();

    /// <summary>Writes a line to standard error as Kafka's tools log.</summary>
    /// <param name="level">WARN or ERROR.</param>
    /// <param name="message">The message.</param>
    /// <param name="class">The Java class whose place the tool has.</param>
    public void Log(string level, string message, string @class)
    {
        Output.Flush();
        var stamp = TimeProvider.System.GetLocalNow().ToString("yyyy-MM-dd HH:mm:ss,fff", CultureInfo.InvariantCulture);
        Error.WriteLine($"[{stamp}] {level} {message} ({@class})");
    }
}
