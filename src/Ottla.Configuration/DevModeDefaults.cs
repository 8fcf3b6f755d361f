namespace Ottla.Configuration;

/// <summary>
/// The defaults of a node without a configuration file: a broker and controller for this machine, and the only voter of its quorum
/// (<see cref="BrokerConfig.IsSingleNodeQuorum"/>).
/// </summary>
public static class DevModeDefaults
{
    private const string ControllerName = "CONTROLLER";
    private const string ControllerListener = "CONTROLLER://127.0.0.1:9093";

    /// <summary>
    /// Beside other listeners the controller takes any free port, so that several such nodes can run on a machine. No other node connects
    /// to it.
    /// </summary>
    private const string ControllerListenerBesideOthers = "CONTROLLER://127.0.0.1:0";

    /// <summary>The defaults; any given value overrides them.</summary>
    public static IReadOnlyDictionary<string, string> Values { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["process.roles"] = "broker,controller",
        ["node.id"] = "0",
        ["listeners"] = $"PLAINTEXT://127.0.0.1:9092,{ControllerListener}",
        ["advertised.listeners"] = "PLAINTEXT://localhost:9092",
        ["controller.listener.names"] = ControllerName,
        ["controller.quorum.voters"] = "0@127.0.0.1:9093",
        ["log.dirs"] = "./data",
        ["offsets.topic.replication.factor"] = "1",
        ["transaction.state.log.replication.factor"] = "1",
        ["transaction.state.log.min.isr"] = "1",
        ["share.coordinator.state.topic.replication.factor"] = "1",
        ["share.coordinator.state.topic.min.isr"] = "1",
    };

    /// <summary>
    /// Adds the defaults to the given values and adapts them: the controller's listener is added to other listeners, which are advertised
    /// (as localhost if they listen on all interfaces), another node id also becomes the voter, and <c>log.dir</c> is used if set.
    /// </summary>
    internal static Dictionary<string, string> Complete(IReadOnlyDictionary<string, string> given)
    {
        var values = new Dictionary<string, string>(Values, StringComparer.Ordinal);
        if (given.ContainsKey("listeners"))
            values.Remove("advertised.listeners");
        if (given.ContainsKey("log.dir"))
            values.Remove("log.dirs");
        if (given.ContainsKey("broker.id") && !given.ContainsKey("node.id"))
            values.Remove("node.id");
        if (given.ContainsKey("controller.quorum.bootstrap.servers"))
            values.Remove("controller.quorum.voters");
        foreach (var (name, value) in given)
            values[name] = value;
        var nodeId = values.GetValueOrDefault("node.id") ?? values["broker.id"];
        if (!given.ContainsKey("controller.quorum.voters") && values.ContainsKey("controller.quorum.voters"))
            values["controller.quorum.voters"] = $"{JavaText.Trim(nodeId)}@127.0.0.1:9093";
        if (given.TryGetValue("listeners", out var listeners) && values["controller.listener.names"] == ControllerName)
            CompleteListeners(values, listeners);
        return values;
    }

    private static void CompleteListeners(Dictionary<string, string> values, string listeners)
    {
        var entries = JavaText.SplitList(JavaText.Trim(listeners));
        var isBroker = values["process.roles"].Contains("broker", StringComparison.Ordinal);
        var isController = values["process.roles"].Contains("controller", StringComparison.Ordinal);
        if (isController && !entries.Any(entry => ListenerParser.NameOf(entry) == ControllerName))
            values["listeners"] = listeners + "," + ControllerListenerBesideOthers;
        if (!isBroker || values.ContainsKey("advertised.listeners"))
            return;
        var advertised = entries.Where(entry => ListenerParser.NameOf(entry) != ControllerName).Select(Advertise).ToArray();
        if (advertised.Length > 0)
            values["advertised.listeners"] = string.Join(',', advertised);
    }

    private static string Advertise(string entry)
    {
        var wildcard = Array.Find(["://0.0.0.0:", "://[::]:", "://:"], entry.Contains);
        return wildcard is null ? entry : entry.Replace(wildcard, "://localhost:", StringComparison.Ordinal);
    }
}
