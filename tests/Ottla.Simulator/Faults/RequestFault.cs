using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Testing;

namespace Ottla.Simulator.Faults;

/// <summary>A request that a client sends.</summary>
/// <param name="Key">The API.</param>
/// <param name="Version">Its version.</param>
/// <param name="Connection">The connection, counted from 1.</param>
/// <param name="Number">Which request of the API it is, counted from 1.</param>
/// <param name="At">When.</param>
public sealed record SeenRequest(ApiKey Key, short Version, int Connection, int Number, DateTimeOffset At);

/// <summary>What becomes of a request, instead of being answered.</summary>
public abstract record RequestFault
{
    private RequestFault()
    {
    }

    /// <summary>It is answered with an error, and no broker sees it.</summary>
    public sealed record Refuse(ErrorCode Error, ErrorLevel Level = ErrorLevel.All) : RequestFault;

    /// <summary>A broker carries it out, and its answer is changed to an error.</summary>
    public sealed record RefuseAfter(ErrorCode Error, ErrorLevel Level = ErrorLevel.All) : RequestFault;

    /// <summary>Its connection breaks before a broker sees it.</summary>
    public sealed record Cut : RequestFault;

    /// <summary>Its connection breaks when a broker has answered it.</summary>
    public sealed record CutAfter : RequestFault;

    /// <summary>It is lost, and with it all later answers of the connection.</summary>
    public sealed record Drop : RequestFault;

    /// <summary>It is answered by the test, and no broker sees it.</summary>
    /// <param name="Make">Makes the answer out of the request, both frames without their length.</param>
    public sealed record Answer(Func<byte[], byte[]> Make) : RequestFault;

    /// <summary>A broker carries it out, and the test changes its answer.</summary>
    /// <param name="Make">Makes another answer out of the broker's, both frames without their length.</param>
    public sealed record AnswerAfter(Func<byte[], byte[]> Make) : RequestFault;

    /// <summary>Its answer, and all later ones of the connection, come late.</summary>
    public sealed record Delay(TimeSpan Time) : RequestFault;
}
