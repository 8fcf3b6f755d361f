namespace Ottla.Cli.KafkaTools;

/// <summary>The tool ends now; what there was to say is said.</summary>
/// <param name="exitCode">The exit code.</param>
internal sealed class ToolEndException(int exitCode) : Exception
{
    /// <summary>The exit code.</summary>
    public int ExitCode { get; } = exitCode;
}

/// <summary>A tool failed: the message goes to standard error, and the exit code is 1.</summary>
/// <param name="message">What failed.</param>
internal sealed class ToolException(string message) : Exception(message);

/// <summary>Something failed that Kafka's tools report as a Java exception.</summary>
/// <param name="class">The name of the Java exception with its package.</param>
/// <param name="message">Its message.</param>
internal sealed class JavaException(string @class, string message) : Exception(message)
{
    /// <summary>The name of the Java exception with its package.</summary>
    public string Class { get; } = @class;

    /// <summary>Class and message, as Java prints an exception.</summary>
    public string Text => $"{Class}: {Message}";

    /// <summary>An exception of <c>org.apache.kafka.common.errors</c>.</summary>
    public static JavaException Kafka(string @class, string message) => new($"org.apache.kafka.common.errors.{@class}", message);

    /// <summary>This exception as the cause of one of another class, whose message names it.</summary>
    public JavaException Within(string @class) => new(@class, Text);

    /// <summary>This exception as Java's futures throw it.</summary>
    public JavaException OfFuture() => Within("java.util.concurrent.ExecutionException");

    /// <summary>This exception as Java's futures throw it, passed on without being declared.</summary>
    public JavaException OfRuntime() => OfFuture().Within("java.lang.RuntimeException");

    /// <summary>A <c>java.lang.IllegalArgumentException</c>.</summary>
    public static JavaException IllegalArgument(string message) => new("java.lang.IllegalArgumentException", message);
}
