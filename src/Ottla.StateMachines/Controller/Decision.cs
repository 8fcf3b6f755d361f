using Ottla.Protocol;

namespace Ottla.StateMachines.Controller;

/// <summary>What a replicated machine decided about a command: nothing has changed until the records are applied.</summary>
/// <typeparam name="TRecord">The machine's records.</typeparam>
/// <typeparam name="TReply">What the command is answered with.</typeparam>
/// <param name="Records">What to write to the log; empty when nothing is to change.</param>
/// <param name="Reply">The answer, once the records are committed.</param>
/// <param name="IsAtomic">Whether the records must be written as one batch; otherwise they may be split anywhere.</param>
public readonly record struct Decision<TRecord, TReply>(IReadOnlyList<TRecord> Records, TReply Reply, bool IsAtomic);

/// <summary>A protocol error with the message that the client is shown.</summary>
/// <param name="Code">The error; <see cref="ErrorCode.None"/> when there is none.</param>
/// <param name="Message">What to show; null for the error's own text.</param>
public readonly record struct ApiError(ErrorCode Code, string? Message = null)
{
    /// <summary>No error.</summary>
    public static readonly ApiError None = new(ErrorCode.None);

    /// <summary>Whether it is one.</summary>
    public bool IsFailure => Code != ErrorCode.None;
}

/// <summary>A command that fails as a whole, with the error to answer.</summary>
public sealed class ApiException : Exception
{
    /// <summary>Fails with <paramref name="code"/>.</summary>
    public ApiException(ErrorCode code, string? message = null)
        : base(message ?? code.ToString()) =>
        Error = new ApiError(code, message);

    /// <summary>The error to answer.</summary>
    public ApiError Error { get; }
}
