using Ottla.Kernel;

namespace Ottla.Simulator.Quorum;

/// <summary>What a seed draws at its start.</summary>
internal sealed record QuorumConditions
{
    /// <summary>The first voters.</summary>
    public required int Voters { get; init; }

    /// <summary>Controllers that are no voters at first.</summary>
    public required int Spares { get; init; }

    /// <summary>Brokers, which are observers and do not flush before they fetch on.</summary>
    public required int Brokers { get; init; }

    /// <summary>Whether the voters are in the log (kraft.version 1), or the same for ever until an upgrade.</summary>
    public required bool IsDynamic { get; init; }

    /// <summary>Whether spare controllers ask to become voters.</summary>
    public required bool AutoJoin { get; init; }

    /// <summary><c>controller.quorum.election.timeout.ms</c>.</summary>
    public required int ElectionTimeoutMs { get; init; }

    /// <summary><c>controller.quorum.fetch.timeout.ms</c>.</summary>
    public required int FetchTimeoutMs { get; init; }

    /// <summary>Of a hundred messages, how many are lost.</summary>
    public required int LossPercent { get; init; }

    /// <summary>Of a hundred messages, how many come late, by up to three seconds.</summary>
    public required int DelayPercent { get; init; }

    /// <summary>Of a hundred ends of a process, how many are noticed at once by each of the others.</summary>
    public required int NoticePercent { get; init; }

    public static QuorumConditions Draw(Prng prng) => new()
    {
        Voters = new[] { 1, 3, 3, 3, 5 }[prng.NextInt(5)],
        Spares = prng.NextInt(3),
        Brokers = prng.NextInt(3),
        IsDynamic = prng.NextChance(70),
        AutoJoin = prng.NextChance(40),
        // Some are so short that elections meet.
        ElectionTimeoutMs = prng.NextChance(25) ? prng.NextInt(30, 100) : prng.NextInt(300, 1200),
        FetchTimeoutMs = prng.NextInt(600, 2200),
        LossPercent = prng.NextInt(8),
        DelayPercent = prng.NextInt(8),
        NoticePercent = new[] { 0, 50, 100 }[prng.NextInt(3)],
    };
}
