using Ottla.Protocol.Messages;

namespace Ottla.Simulator.Bugs;

/// <summary>A broker's bug, as its clients meet it: requests that it takes for others, answers that say something else. Stateless.</summary>
internal abstract class WireBug
{
    /// <summary>Changes a request before it is sent.</summary>
    public virtual void Before(IMessage request)
    {
    }

    /// <summary>Changes an answer before it is seen.</summary>
    public virtual void After(IMessage response)
    {
    }
}

/// <summary>Committed readers get what uncommitted ones get: up to the high watermark, whatever is open.</summary>
internal sealed class IgnoredLastStableOffset : WireBug
{
    public override void Before(IMessage request)
    {
        if (request is FetchRequest fetch)
            fetch.IsolationLevel = 0;
    }
}

/// <summary>Committed readers are not told which transactions were aborted.</summary>
internal sealed class ForgottenAborts : WireBug
{
    public override void After(IMessage response)
    {
        foreach (var partition in response is FetchResponse fetch ? fetch.Responses.SelectMany(topic => topic.Partitions) : [])
            partition.AbortedTransactions = [];
    }
}
