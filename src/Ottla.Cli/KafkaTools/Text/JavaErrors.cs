using Ottla.Client;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Text;

/// <summary>Says failures in the words of Kafka's Java client.</summary>
internal static class JavaErrors
{
    /// <summary>The exception that an error of a broker becomes.</summary>
    /// <param name="error">The error.</param>
    /// <param name="message">The broker's message; null for the error's own.</param>
    public static JavaException Of(ErrorCode error, string? message)
    {
        var (name, own) = JavaErrorTable.ByCode.GetValueOrDefault(error, ("UnknownServerException", error.ToKafkaName()));
        return JavaException.Kafka(name, string.IsNullOrEmpty(message) ? own : message);
    }

    /// <summary>The exception of a failed item of a call.</summary>
    /// <param name="result">The item.</param>
    /// <param name="call">The call's name in Kafka's admin client.</param>
    public static JavaException Of(AdminResult result, string call) =>
        result.Error == ErrorCode.RequestTimedOut ? TimedOut(result.Message, call) : Of(result.Error, result.Message);

    /// <summary>The exception of a failed call.</summary>
    /// <param name="failure">The failure.</param>
    /// <param name="call">The call's name in Kafka's admin client.</param>
    public static JavaException Of(KafkaException failure, string call) => failure is KafkaTimeoutException
        ? TimedOut(failure.Message, call)
        : failure is SslAuthenticationException ? JavaException.Kafka("SslAuthenticationException", failure.Detail!)
        : Of(failure.ErrorCode, failure.Detail);

    /// <summary>Throws if the item failed.</summary>
    public static void ThrowIfFailed(this AdminResult result, string call)
    {
        if (!result.IsSuccess)
            throw Of(result, call);
    }

    private static JavaException TimedOut(string? message, string call)
    {
        var isUnreachable = message is not null
            && (message.Contains("refused", StringComparison.OrdinalIgnoreCase)
                || message.Contains("connect", StringComparison.OrdinalIgnoreCase)
                || message.Contains("is not known", StringComparison.Ordinal)
                    || message.Contains("no controller", StringComparison.Ordinal));
        if (isUnreachable || message is null)
            return JavaException.Kafka("TimeoutException", $"Timed out waiting for a node assignment. Call: {call}");
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        return JavaException.Kafka(
            "TimeoutException", $"Call(callName={call}, deadlineMs={now}, tries=1, nextAllowedTryMs={now}) timed out at {now} after 1 "
                + "attempt(s)");
    }
}
