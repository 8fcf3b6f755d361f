using Microsoft.Extensions.Logging;
using Ottla.StateMachines.Groups.Share;

namespace Ottla.Broker.Hosts.Share;

/// <summary>What the leaders of share partitions of a broker work with. Immutable.</summary>
internal sealed record SharePartitionSurroundings
{
    /// <summary>Keeps their state.</summary>
    public required IShareStateStore Store { get; init; }

    /// <summary>The settings of a group, as they are now.</summary>
    public required Func<string, ShareGroupSettings> SettingsOf { get; init; }

    /// <summary>Watches a task that nobody awaits.</summary>
    public required Action<string, Task> Watch { get; init; }

    /// <summary>Is told of a leader that has let go of its partition.</summary>
    public required Action<SharePartitionLeader> OnClosed { get; init; }

    /// <summary>The clock.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>The logger.</summary>
    public required ILogger Logger { get; init; }
}
