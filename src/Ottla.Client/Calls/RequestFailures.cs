using Ottla.Network.Security;
using Ottla.Protocol;
using Ottla.Requests;

namespace Ottla.Client.Calls;

/// <summary>What a request without an answer means for the application.</summary>
internal static class RequestFailures
{
    /// <summary>Whether it says that this client and the cluster do not go together: trying again does not help.</summary>
    public static bool IsRefusal(this RequestFailedException failure) =>
        failure.Kind is RequestFailureKind.UnsupportedVersion or RequestFailureKind.AuthenticationFailed;

    /// <summary>The exception for the application.</summary>
    public static KafkaException ToKafkaException(this RequestFailedException failure)
    {
        if (failure is { Kind: RequestFailureKind.AuthenticationFailed, InnerException: TlsException })
            return new SslAuthenticationException(failure.Message, failure);
        var error = failure.Kind switch
        {
            RequestFailureKind.AuthenticationFailed => ErrorCode.SaslAuthenticationFailed,
            RequestFailureKind.UnsupportedVersion => ErrorCode.UnsupportedVersion,
            RequestFailureKind.TimedOut => ErrorCode.RequestTimedOut,
            _ => ErrorCode.NetworkException,
        };
        return new KafkaException(error, failure.Message, failure);
    }
}
