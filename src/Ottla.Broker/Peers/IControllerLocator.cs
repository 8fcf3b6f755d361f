using Ottla.Requests;

namespace Ottla.Broker.Peers;

/// <summary>The active controller and where it is reached.</summary>
/// <param name="Address">Its id, and the address of the first controller listener.</param>
/// <param name="Epoch">The quorum epoch that it leads.</param>
public sealed record ControllerAddress(NodeAddress Address, int Epoch)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Address.Id}@{Address.Host}:{Address.Port}";
}

/// <summary>Finds the active controller.</summary>
public interface IControllerLocator
{
    /// <summary>The active controller; null while none is known.</summary>
    ControllerAddress? Current { get; }

    /// <summary>Completes when <see cref="Current"/> is another than <paramref name="seen"/>.</summary>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    Task WaitForChangeAsync(ControllerAddress? seen, CancellationToken cancellation);

    /// <summary>What this node knows of the controllers, for an operator: who is active, or who of whom is waited for.</summary>
    string Describe();
}
