using Ottla.Protocol;

namespace Ottla.StateMachines.Controller;

/// <summary>The result of a command: records to write and a reply. Nothing changes until the records are applied.</summary>
/// <typeparam name="TRecord">The type of the records.</typeparam>
/// <typeparam name="TReply">The type of the reply.</typeparam>
/// <param name="Records">The records to write to the log; empty when nothing changes.</param>
/// <param name="Reply">The reply to send when the records are committed.</param>
/// <param name="IsAtomic">Whether the records must be written as one batch. Otherwise they may be split.</param>
public readonly record struct Decision<TRecord, TReply>(IReadOnlyList<TRecord> Records, TReply Reply, bool IsAtomic);

/// <summary>An error code of the protocol with a message for the client.</summary>
/// <param name="Code">The error; <see cref="ErrorCode.None"/> when there is none.</param>
/// <param name="Message">The message; null for the default text of the code.</param>
public readonly record struct ApiError(ErrorCode Code, string? Message = null)
{
    /// <summary>No error.</summary>
    public static readonly ApiError None = new(ErrorCode.None);

    /// <summary>Whether this is an error.</summary>
    public bool IsFailure => Code != ErrorCode.None;
}

/// <summary>Fails a whole command with an error for the client.</summary>
public sealed class ApiException : Exception
{
    /// <summary>Makes an exception with error <paramref name="code"/>.</summary>
    public ApiException(ErrorCode code, string? message = null)
        : base(message ?? code.ToString()) =>
        Error = new ApiError(code, message);

    /// <summary>The error for the client.</summary>
    public ApiError Error { get; }
}
