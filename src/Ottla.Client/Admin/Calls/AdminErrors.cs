using Ottla.Client.Calls;
using Ottla.Protocol;

namespace Ottla.Client.Admins;

/// <summary>Which errors admin calls try again: those that Kafka's Java client does. Pure.</summary>
internal static class AdminErrors
{
    /// <summary>No error of an answer is tried again, only what had no answer.</summary>
    public static CallOptions NoRetry { get; } = new() { IsRetriable = Never };

    /// <summary>Changes that the controller makes.</summary>
    public static CallOptions ControllerRetry { get; } = new() { IsRetriable = OfController };

    /// <summary>Never.</summary>
    public static bool Never(ErrorCode error) => false;

    /// <summary>Changes that the controller makes.</summary>
    public static bool OfController(ErrorCode error) => error is ErrorCode.NotController or ErrorCode.ThrottlingQuotaExceeded;

    /// <summary>Calls to the coordinator of a group or transactional id.</summary>
    public static bool OfCoordinator(ErrorCode error) => error
        is ErrorCode.CoordinatorLoadInProgress or ErrorCode.CoordinatorNotAvailable or ErrorCode.NotCoordinator;
}
