using Ottla.Chaos.Clients;
using Ottla.Chaos.Machines;

namespace Ottla.Chaos.Scenarios;

/// <summary>
/// A run with a story: what the cluster is, what happens to it, and what must come of it. After it everything is mended, and the judge has
/// its say as after random faults.
/// </summary>
internal abstract class Scenario(string name, string description)
{
    /// <summary>Its name in <c>--scenario</c>.</summary>
    public string Name { get; } = name;

    /// <summary>What happens.</summary>
    public string Description { get; } = description;

    /// <summary>Nodes that are controller and broker.</summary>
    public virtual int Nodes => 3;

    /// <summary>Nodes behind them that are brokers only.</summary>
    public virtual int BrokersAlone => 0;

    /// <summary>Configs of the nodes beyond those of every run.</summary>
    public virtual IReadOnlyDictionary<string, string> Configs => new Dictionary<string, string>();

    /// <summary>The topic of the workload.</summary>
    public virtual TopicPlacement Topic => new(3, 3);

    /// <summary>How many replicas of it must have a record before it is acknowledged.</summary>
    public virtual int InSyncMin => 2;

    /// <summary>Further configs of it.</summary>
    public virtual IReadOnlyDictionary<string, string> TopicConfigs => new Dictionary<string, string>();

    /// <summary>Whether there are copies in transactions too.</summary>
    public virtual bool HasCopies => false;

    /// <summary>Whether acknowledged records may be lost, as with an unclean election.</summary>
    public virtual bool MayLose => false;

    /// <summary>The clients that write; null for all.</summary>
    public virtual IReadOnlyList<string>? Writers => null;

    /// <summary>What each writer sends; null for what every run sends.</summary>
    public virtual WriterLoad? Load => null;

    /// <summary>Lets it happen.</summary>
    /// <exception cref="ScenarioException">What must come of it does not.</exception>
    public abstract Task RunAsync(Stage stage);
}
