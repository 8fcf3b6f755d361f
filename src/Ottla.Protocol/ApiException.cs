namespace Ottla.Protocol;

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
