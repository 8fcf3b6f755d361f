using Ottla.Protocol;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Hosts;

/// <summary>Has commands decided by the active controller.</summary>
public interface IController
{
    /// <summary>Has a command decided, and completes with its reply when what was decided is committed.</summary>
    /// <exception cref="ApiException">The command fails; NOT_CONTROLLER when there is no active controller here.</exception>
    Task<TReply> SubmitAsync<TReply>(ControllerCommand<TReply> command);
}
