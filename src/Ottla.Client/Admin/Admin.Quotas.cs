using Ottla.Client.Admins;
using Ottla.Protocol.Messages;

namespace Ottla.Client;

public sealed partial class Admin
{
    /// <inheritdoc/>
    public async Task<IReadOnlyDictionary<ClientQuotaEntity, IReadOnlyDictionary<string, double>>> DescribeClientQuotasAsync(
        IEnumerable<ClientQuotaFilter>? filter = null, bool strict = false, CancellationToken cancellation = default)
    {
        var answer = await Calls.ToAnyNodeAsync<DescribeClientQuotasRequest, DescribeClientQuotasResponse>(
            _ => new DescribeClientQuotasRequest
            {
                Components = [.. (filter ?? []).Select(part => new DescribeClientQuotasRequest.ComponentData
                {
                    EntityType = part.EntityType,
                    MatchType = part.MatchType,
                    Match = part.Match,
                })],
                Strict = strict,
            },
            answer => ErrorOf(answer.ErrorCode, answer.ErrorMessage), AdminErrors.NoRetry, cancellation);
        return (answer.Entries ?? []).ToDictionary(
            entry => new ClientQuotaEntity(entry.Entity.Select(part => KeyValuePair.Create(part.EntityType, part.EntityName))),
            IReadOnlyDictionary<string, double> (entry) => entry.Values.ToDictionary(value => value.Key, value => value.Value));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<ClientQuotaEntity>> AlterClientQuotasAsync(
        IReadOnlyDictionary<ClientQuotaEntity, IReadOnlyDictionary<string, double?>> changes, bool validateOnly = false,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(changes);
        return Outcomes(await Items.RunAsync(
            new ItemCall<ClientQuotaEntity, Done, AlterClientQuotasRequest, AlterClientQuotasResponse>
            {
                IsRetriable = AdminErrors.OfController,
                Request = (_, asked, _) => new AlterClientQuotasRequest
                {
                    Entries = [.. asked.Select(entity => new AlterClientQuotasRequest.EntryData
                    {
                        Entity = [.. entity.Parts.Select(part => new AlterClientQuotasRequest.EntityData
                        {
                            EntityType = part.Key,
                            EntityName = part.Value,
                        })],
                        Ops = [.. changes[entity].Select(change => new AlterClientQuotasRequest.OpData
                        {
                            Key = change.Key,
                            Value = change.Value ?? 0,
                            Remove = change.Value is null,
                        })],
                    })],
                    ValidateOnly = validateOnly,
                },
                Read = (answer, answers) =>
                {
                    foreach (var entry in answer.Entries)
                    {
                        answers.Take(
                            new ClientQuotaEntity(entry.Entity.Select(part => KeyValuePair.Create(part.EntityType, part.EntityName))),
                            entry.ErrorCode, entry.ErrorMessage, () => default);
                    }
                },
            },
            changes.Keys, ToController<ClientQuotaEntity>(), cancellation));
    }
}
