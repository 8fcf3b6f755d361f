namespace Ottla.StateMachines.Raft;

/// <summary>A node of the quorum with the address that it is reached at.</summary>
/// <param name="Id">The node's id; of a bootstrap server, whose id nobody knows yet, -2, -3, ... as in Kafka.</param>
/// <param name="Host">The host.</param>
/// <param name="Port">The port.</param>
public sealed record RaftNode(int Id, string Host, int Port)
{
    private const int FirstBootstrapId = -2;

    /// <summary>The server at <paramref name="index"/> of <c>controller.quorum.bootstrap.servers</c>.</summary>
    public static RaftNode Bootstrap(int index, string host, int port) => new(FirstBootstrapId - index, host, port);
}
