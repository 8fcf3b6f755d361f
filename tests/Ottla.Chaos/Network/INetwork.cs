namespace Ottla.Chaos.Network;

/// <summary>What is between the machines and the clients, and loses or delays what rules say.</summary>
internal interface INetwork : IDisposable
{
    /// <summary>How many packets (or pieces of streams) were delivered, and lost (or held back) by rules.</summary>
    (long Delivered, long Lost) Counts { get; }

    /// <summary>Adds rules; the first that matches counts.</summary>
    void Add(IEnumerable<LinkRule> rules);

    /// <summary>Takes rules away.</summary>
    void Remove(IReadOnlyCollection<LinkRule> rules);
}
