namespace Ottla.Protocol;

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
