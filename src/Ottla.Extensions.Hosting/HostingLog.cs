using Microsoft.Extensions.Logging;

namespace Ottla.Extensions.Hosting;

/// <summary>What the services of a host log. Event ids from 200 on.</summary>
internal static partial class HostingLog
{
    [LoggerMessage(EventId = 200, Level = LogLevel.Warning, Message = "The property {Name} is ignored: {Reason}")]
    public static partial void Ignored(ILogger logger, string name, string reason);

    [LoggerMessage(EventId = 201, Level = LogLevel.Error,
        Message = "The worker of group {Group} has failed, and begins again after a pause")]
    public static partial void WorkerFailed(ILogger logger, string group, Exception exception);

    [LoggerMessage(EventId = 202, Level = LogLevel.Warning,
        Message = "{Partition} offset {Offset} was not handled at attempt {Attempt}, and goes to {Topic}")]
    public static partial void NotHandled(
        ILogger logger, string partition, long offset, int attempt, string topic, Exception exception);

    [LoggerMessage(EventId = 203, Level = LogLevel.Error,
        Message = "{Partition} offset {Offset} cannot be deserialized, and goes to {Topic}")]
    public static partial void Unreadable(ILogger logger, string partition, long offset, string topic, Exception exception);
}
