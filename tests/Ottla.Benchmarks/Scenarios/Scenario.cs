namespace Ottla.Benchmarks.Scenarios;

/// <summary>One load, the same for every target.</summary>
/// <param name="Name">What it is called on the command line and in stored results.</param>
internal abstract record Scenario(string Name);

/// <summary>Prebuilt batches as fast as they are acknowledged.</summary>
/// <param name="Name">See <see cref="Scenario"/>.</param>
/// <param name="Connections">Connections, each with a thread of its own.</param>
/// <param name="InFlight">Requests that a connection sends ahead of their responses.</param>
/// <param name="BatchBytes">About the size of the one batch of a request.</param>
/// <param name="RecordBytes">Size of a record's value.</param>
/// <param name="Acks">As in a Produce request.</param>
/// <param name="Megabytes">The volume of all connections together, in 10^6 bytes.</param>
internal sealed record ProduceScenario(
    string Name, int Connections, int InFlight, int BatchBytes, int RecordBytes, short Acks, int Megabytes) : Scenario(Name);

/// <summary>Reads what was just written, and is in the page cache.</summary>
/// <param name="Name">See <see cref="Scenario"/>.</param>
/// <param name="Connections">Connections, each with a thread of its own, reading a partition from its start.</param>
/// <param name="MaxBytes">What one Fetch may return.</param>
/// <param name="Megabytes">The volume of all connections together, in 10^6 bytes.</param>
internal sealed record FetchScenario(string Name, int Connections, int MaxBytes, int Megabytes) : Scenario(Name);

/// <summary>An open loop: requests are due at fixed times, and latency counts from when one was due until a consumer holds it.</summary>
/// <param name="Name">See <see cref="Scenario"/>.</param>
/// <param name="RatePerSecond">Requests per second.</param>
/// <param name="BatchBytes">About the size of the one batch of a request.</param>
/// <param name="RecordBytes">Size of a record's value.</param>
/// <param name="Acks">As in a Produce request.</param>
/// <param name="Requests">How many in all.</param>
internal sealed record EndToEndScenario(string Name, int RatePerSecond, int BatchBytes, int RecordBytes, short Acks, int Requests)
    : Scenario(Name);

/// <summary>Nothing at all: what the process costs when nobody asks for anything.</summary>
/// <param name="Name">See <see cref="Scenario"/>.</param>
/// <param name="Seconds">For how long.</param>
internal sealed record IdleScenario(string Name, double Seconds) : Scenario(Name);

/// <summary>From starting the process, on an empty directory, to its first answered ApiVersions.</summary>
/// <param name="Name">See <see cref="Scenario"/>.</param>
/// <param name="Starts">Starts in a round.</param>
internal sealed record StartScenario(string Name, int Starts) : Scenario(Name);

/// <summary>
/// Many of something that does nothing: what each of them holds and costs. Not for the floor, which has threads in their place.
/// </summary>
/// <param name="Name">See <see cref="Scenario"/>.</param>
/// <param name="Count">How many.</param>
/// <param name="Seconds">How long they do nothing.</param>
internal abstract record ScaleScenario(string Name, int Count, double Seconds) : Scenario(Name);

/// <summary>Connections that asked once.</summary>
internal sealed record ConnectionsScenario(string Name, int Count, double Seconds) : ScaleScenario(Name, Count, Seconds);

/// <summary>Connections that wait in a Fetch for data that does not come.</summary>
internal sealed record LongPollsScenario(string Name, int Count, double Seconds) : ScaleScenario(Name, Count, Seconds);

/// <summary>Empty partitions.</summary>
internal sealed record PartitionsScenario(string Name, int Count, double Seconds) : ScaleScenario(Name, Count, Seconds);

/// <summary>Partitions in the incremental fetch session of one consumer, which polls them.</summary>
internal sealed record SessionScenario(string Name, int Count, double Seconds) : ScaleScenario(Name, Count, Seconds);
