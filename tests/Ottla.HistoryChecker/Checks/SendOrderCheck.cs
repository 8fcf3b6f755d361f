using Ottla.HistoryChecker.History;

namespace Ottla.HistoryChecker.Checks;

/// <summary>Are a producer's records stored in the order in which it sent them?</summary>
internal static class SendOrderCheck
{
    public static IEnumerable<Anomaly> Find(HistoryIndex index)
    {
        var last = new Dictionary<(long Process, string Partition), (int Operation, long Offset)>();
        for (var i = 0; i < index.Operations.Count; i++)
        {
            foreach (var send in index.Operations[i].Steps.OfType<Send>())
            {
                if (send.Offset is not { } offset)
                    continue;
                var key = (index.Operations[i].Process, send.Partition);
                if (last.TryGetValue(key, out var before) && offset <= before.Offset)
                {
                    yield return new Anomaly(
                        before.Operation == i ? AnomalyKind.InternalNonmonotonicSend : AnomalyKind.NonmonotonicSend,
                        $"{send.Value} was stored by {send.Partition} at {offset}, behind what the same producer sent before, which is at "
                            + $"{before.Offset}",
                        before.Operation == i ? [i] : [before.Operation, i]);
                }

                last[key] = (i, offset);
            }
        }
    }
}
