using Ottla.Protocol;

namespace Ottla.Cli.Admin;

/// <summary>A cluster did not answer, or refused; the message is for the user.</summary>
internal sealed class AdminException : Exception
{
    /// <summary>The cluster did not answer.</summary>
    public AdminException(string message)
        : base(message)
    {
    }

    /// <summary>The cluster answered with an error.</summary>
    public AdminException(ErrorCode error, string? message)
        : base(string.IsNullOrEmpty(message) ? error.ToKafkaName() : $"{error.ToKafkaName()}: {message}")
    {
        Error = error;
        ClusterMessage = string.IsNullOrEmpty(message) ? error.ToKafkaName() : message;
    }

    /// <summary>The cluster's error; none when it did not answer.</summary>
    public ErrorCode Error { get; }

    /// <summary>The cluster's message about the error, or the error's name.</summary>
    public string ClusterMessage { get; } = "";
}
