using Ottla.Broker.Metadata;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Hosts;

/// <summary>The way from a broker to the active controller. Here they share a process.</summary>
/// <remarks>What it answers, this broker has already taken over: a client that created a topic can use it at once.</remarks>
public sealed class ControllerChannel(ControllerHost controller, MetadataCache metadata) : IController
{
    /// <inheritdoc/>
    /// <remarks>Waits also until this broker follows what was decided.</remarks>
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
