using Ottla.Broker.Metadata;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Hosts;

/// <summary>The way from a broker to the active controller. Here they share a process.</summary>
/// <remarks>What it answers, this broker has already taken over: a client that created a topic can use it at once.</remarks>
public sealed class ControllerChannel(ControllerHost controller, MetadataCache metadata)
{
    /// <summary>Has a command decided and committed, and waits until this broker follows it.</summary>
    /// <exception cref="ApiException">The command fails; NOT_CONTROLLER when there is no active controller.</exception>
    public async Task<TReply> SubmitAsync<TReply>(ControllerCommand<TReply> command)
    {
        try
        {
            var (reply, offset) = await controller.SubmitWithOffsetAsync(command);
            await metadata.WaitForOffset(offset);
            return reply;
        }
        catch (MetadataLogException e)
        {
            throw new ApiException(e.ErrorCode, e.Message);
        }
    }
}
