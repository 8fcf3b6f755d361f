using Ottla.Protocol.Batches;

namespace Ottla.Broker.Replicas;

/// <summary>Counts what is wrong with records that are refused. Any thread counts; lives as long as the broker.</summary>
internal sealed class RecordFaultCounters
{
    private readonly long[] _counts = new long[(int)RecordFault.MissingKey + 1];

    /// <summary>How often there was a fault.</summary>
    public long this[RecordFault fault] => Interlocked.Read(ref _counts[(int)fault]);

    /// <summary>Counts a refusal.</summary>
    public void Count(RecordValidationException refusal) => Interlocked.Add(ref _counts[(int)refusal.Fault], refusal.FaultCount);
}
