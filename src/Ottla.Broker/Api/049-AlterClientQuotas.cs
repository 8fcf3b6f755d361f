using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using EntityData = Ottla.Protocol.Messages.AlterClientQuotasResponse.EntityData;

namespace Ottla.Broker.Api;

/// <summary>AlterClientQuotas (key 49), versions 0 and 1: sets and removes client quotas (KIP-546).</summary>
/// <remarks>
/// Errors per entry: UNSUPPORTED_VERSION, always: this version enforces no quotas, and so takes none. The API is offered all the same,
/// because clients guess the version of a broker from the APIs that it has.
/// </remarks>
internal sealed class AlterClientQuotasHandler : IApiHandler<AlterClientQuotasRequest, AlterClientQuotasResponse>
{
    public ValueTask<AlterClientQuotasResponse?> HandleAsync(RequestContext context, AlterClientQuotasRequest request) =>
        ValueTask.FromResult<AlterClientQuotasResponse?>(new AlterClientQuotasResponse
        {
            Entries =
            [
                .. request.Entries.Select(entry => new AlterClientQuotasResponse.EntryData
                {
                    ErrorCode = (short)ErrorCode.UnsupportedVersion,
                    ErrorMessage = "This broker does not enforce client quotas.",
                    Entity = [.. entry.Entity.Select(part =>
                        new EntityData { EntityType = part.EntityType, EntityName = part.EntityName })],
                }),
            ],
        });
}
