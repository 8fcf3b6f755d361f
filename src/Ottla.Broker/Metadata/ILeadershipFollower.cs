using Ottla.Broker.Hosts;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>Is told which node leads the metadata quorum. The controller implements it.</summary>
public interface ILeadershipFollower
{
    /// <summary>
    /// The leader changed. When this node became it, <paramref name="committed"/> has everything that was committed before it.
    /// </summary>
    /// <param name="leader">Who leads now; an id of -1 when nobody is known to.</param>
    /// <param name="committed">The state of the committed log. Only for this call: copy what is to be kept.</param>
    void HandleLeaderChange(LeaderAndEpoch leader, MetadataReplayer committed);
}
