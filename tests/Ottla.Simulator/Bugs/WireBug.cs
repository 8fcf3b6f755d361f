using Ottla.Protocol.Messages;

namespace Ottla.Simulator.Bugs;

/// <summary>
/// A broker's bug, as its clients meet it: requests that it takes for others, answers that say something else. Stateless.
/// </summary>
internal abstract class WireBug
{
    /// <summary>Changes a request before it is sent.</summary>
    /// <returns>The version to send it in.</returns>
    public virtual short Before(IMessage request, short version) => version;

    /// <summary>Changes an answer before it is seen.</summary>
    public virtual void After(IMessage request, IMessage response)
    {
    }
}

/// <summary>Committed readers get what uncommitted ones get: up to the high watermark, whatever is open.</summary>
internal sealed class IgnoredLastStableOffset : WireBug
{
    public override short Before(IMessage request, short version)
    {
        if (request is FetchRequest fetch)
            fetch.IsolationLevel = 0;
        return version;
    }
}

/// <summary>Committed readers are not told which transactions were aborted.</summary>
internal sealed class ForgottenAborts : WireBug
{
    public override void After(IMessage request, IMessage response)
    {
        foreach (var partition in response is FetchResponse fetch ? fetch.Responses.SelectMany(topic => topic.Partitions) : [])
            partition.AbortedTransactions = [];
    }
}

/// <summary>
/// The next transaction has the epoch of the one before, also by <c>transaction.version</c> 2: it cannot be told from it.
/// </summary>
internal sealed class UnbumpedEpoch : WireBug
{
    private const short LastVersionWithoutBump = 4;

    public override short Before(IMessage request, short version) =>
        request is EndTxnRequest ? Math.Min(version, LastVersionWithoutBump) : version;

    public override void After(IMessage request, IMessage response)
    {
        if ((request, response) is (EndTxnRequest end, EndTxnResponse ended))
            (ended.ProducerId, ended.ProducerEpoch) = (end.ProducerId, end.ProducerEpoch);
    }
}
