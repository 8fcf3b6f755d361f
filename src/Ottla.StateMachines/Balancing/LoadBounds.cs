namespace Ottla.StateMachines.Balancing;

/// <summary>
/// How many replicas and bytes a broker should have, and how bad it is to have more or less. Immutable; made for one plan.
/// </summary>
/// <remarks>
/// Within the bounds nothing is wrong, and nothing is moved for it. Outside, it grows with the square of the distance: so load goes from
/// who has most to who has least, also where racks keep every broker from reaching the bounds.
/// </remarks>
internal sealed class LoadBounds
{
    /// <summary>Less than this is not worth a move.</summary>
    private const long NegligibleBytes = 1 << 20;

    private readonly double _averageReplicas;
    private readonly double _averageBytes;
    private readonly double _replicasMin;
    private readonly double _replicasMax;
    private readonly double _bytesMin;
    private readonly double _bytesMax;

    /// <param name="replicas">The replicas that the brokers share.</param>
    /// <param name="bytes">Their bytes.</param>
    /// <param name="brokers">How many brokers share them.</param>
    /// <param name="tolerance">How far from the average they may be.</param>
    public LoadBounds(long replicas, long bytes, int brokers, double tolerance)
    {
        var count = Math.Max(brokers, 1);
        _averageReplicas = (double)replicas / count;
        _averageBytes = (double)bytes / count;
        // Replicas are whole: when no number is within the tolerance, the two beside the average are.
        _replicasMin = Math.Min(Math.Floor(_averageReplicas), Math.Ceiling(_averageReplicas * (1 - tolerance)));
        _replicasMax = Math.Max(Math.Ceiling(_averageReplicas), Math.Floor(_averageReplicas * (1 + tolerance)));
        var slack = Math.Max(_averageBytes * tolerance, NegligibleBytes);
        _bytesMin = _averageBytes - slack;
        _bytesMax = _averageBytes + slack;
    }

    /// <summary>How bad a broker's number of replicas is; 0 within the bounds.</summary>
    public double ReplicasPenalty(int replicas) => Square(Distance(replicas, _replicasMin, _replicasMax), _averageReplicas);

    /// <summary>How bad a broker's bytes are; 0 within the bounds.</summary>
    public double BytesPenalty(long bytes) => Square(Distance(bytes, _bytesMin, _bytesMax), _averageBytes);

    /// <summary>How bad both are.</summary>
    public double Penalty(int replicas, long bytes) => ReplicasPenalty(replicas) + BytesPenalty(bytes);

    /// <summary>How far a broker is out of the bounds: above 0 when it has too much.</summary>
    public double Excess(int replicas, long bytes) =>
        Ratio(Distance(replicas, _replicasMin, _replicasMax), _averageReplicas)
        + Ratio(Distance(bytes, _bytesMin, _bytesMax), _averageBytes);

    /// <summary>What a broker has of what it should have: 2 is the average of both.</summary>
    public double Share(int replicas, long bytes) => Ratio(replicas, _averageReplicas) + Ratio(bytes, _averageBytes);

    private static double Distance(double value, double min, double max) => value < min ? value - min : value > max ? value - max : 0;

    private static double Ratio(double value, double average) => average > 0 ? value / average : 0;

    private static double Square(double distance, double average)
    {
        var ratio = Ratio(distance, average);
        return ratio * ratio;
    }
}
