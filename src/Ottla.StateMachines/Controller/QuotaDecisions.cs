using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Quotas;
using EntryData = Ottla.Protocol.Messages.AlterClientQuotasRequest.EntryData;

namespace Ottla.StateMachines.Controller;

/// <summary>AlterClientQuotas (KIP-546). Fails per entity.</summary>
/// <param name="Request">The request.</param>
public sealed record AlterClientQuotasCommand(AlterClientQuotasRequest Request) : ControllerCommand<AlterClientQuotasResponse>
{
    internal override Decision<MetadataRecord, AlterClientQuotasResponse> Decide(
        QuorumController controller, in ControllerState state) => QuotaDecisions.Alter(this, state);
}

/// <summary>Decides about changes to client quotas.</summary>
internal static class QuotaDecisions
{
    /// <remarks>As in Kafka, an entity that is named twice is set by its first entry, and answered with an error.</remarks>
    public static Decision<MetadataRecord, AlterClientQuotasResponse> Alter(AlterClientQuotasCommand command, in ControllerState state)
    {
        List<MetadataRecord> records = [];
        var results = new Dictionary<ClientQuotaEntity, ApiError>();
        foreach (var entry in command.Request.Entries)
        {
            var entity = EntityOf(entry);
            var repeatsKey = entry.Ops.Select(op => op.Key).Distinct(StringComparer.Ordinal).Count() < entry.Ops.Length;
            var error = results.ContainsKey(entity) || repeatsKey
                ? Invalid($"Ignoring duplicate entity {Text(entity)}")
                : Alter(state.Image.ClientQuotas, entity, entry, records);
            results[entity] = error;
        }

        QuorumController.CheckSize(records);
        var response = new AlterClientQuotasResponse { Entries = [.. results.Select(result => ToResult(result.Key, result.Value))] };
        return new(command.Request.ValidateOnly ? [] : records, response, true);
    }

    /// <summary>Of a type that is named twice, the last name counts.</summary>
    private static ClientQuotaEntity EntityOf(EntryData entry)
    {
        var parts = ImmutableSortedDictionary.CreateBuilder<string, string?>(StringComparer.Ordinal);
        foreach (var part in entry.Entity)
            parts[part.EntityType] = part.EntityName;
        return new ClientQuotaEntity(parts.ToImmutable());
    }

    private static ApiError Alter(ClientQuotasImage image, ClientQuotaEntity entity, EntryData entry, List<MetadataRecord> records)
    {
        if (ReasonInvalid(entity) is { } reason)
            return Invalid(reason);
        var present = image.ByEntity.GetValueOrDefault(entity);
        List<MetadataRecord> changes = [];
        foreach (var op in entry.Ops)
        {
            if (!op.Remove && ReasonInvalid(entity, op.Key, op.Value) is { } wrong)
                return Invalid(wrong);
            double? current = present is not null && present.TryGetValue(op.Key, out var value) ? value : null;
            if (op.Remove ? current is not null : current != op.Value)
                changes.Add(Record(entity, op));
        }

        records.AddRange(changes);
        return ApiError.None;
    }

    private static MetadataRecord Record(ClientQuotaEntity entity, AlterClientQuotasRequest.OpData op) => new(
        new ClientQuotaRecord
        {
            Entity = [.. entity.Parts.Select(part => new ClientQuotaRecord.EntityData { EntityType = part.Key, EntityName = part.Value })],
            Key = op.Key,
            Value = op.Remove ? 0 : op.Value,
            Remove = op.Remove,
        },
        0);

    private static string? ReasonInvalid(ClientQuotaEntity entity)
    {
        if (entity.Parts.IsEmpty)
            return "Invalid empty client quota entity";
        foreach (var (type, name) in entity.Parts)
        {
            if (type is not (QuotaTables.User or QuotaTables.ClientId or QuotaTables.Ip))
                return $"Unhandled client quota entity type: {type}";
            if (name is "")
                return $"Empty {type} not supported";
        }

        if (!entity.Parts.TryGetValue(QuotaTables.Ip, out var address))
            return null;
        if (entity.Parts.Count > 1)
            return "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId";

        // Not names: each broker might take them for other addresses.
        return address is null || IPAddress.TryParse(address, out _) ? null : $"{address} is not a valid IP or resolvable host.";
    }

    private static string? ReasonInvalid(ClientQuotaEntity entity, string key, double value)
    {
        double? most = entity.Parts.ContainsKey(QuotaTables.Ip)
            ? key == QuotaTables.ConnectionCreationRate ? int.MaxValue : null
            : key switch
            {
                "producer_byte_rate" or "consumer_byte_rate" => long.MaxValue,
                "request_percentage" or "controller_mutation_rate" => double.PositiveInfinity,
                _ => null,
            };
        if (most is not { } max)
            return $"Invalid configuration key {key}";
        if (!double.IsFinite(value))
            return $"Quota {key} must be a finite number";
        if (value <= 0)
            return $"Quota {key} must be greater than 0";
        if (value > max)
            return string.Create(
                CultureInfo.InvariantCulture, $"Proposed value for {key} is too large for {(max > int.MaxValue ? "a LONG" : "an INT")}.");
        return double.IsFinite(max) && Math.Abs(value % 1.0) > 1e-6 ? $"{key} cannot be a fractional value." : null;
    }

    private static AlterClientQuotasResponse.EntryData ToResult(ClientQuotaEntity entity, ApiError error) => new()
    {
        ErrorCode = (short)error.Code,
        ErrorMessage = error.Message,
        Entity =
        [
            .. entity.Parts.Select(part => new AlterClientQuotasResponse.EntityData { EntityType = part.Key, EntityName = part.Value }),
        ],
    };

    private static string Text(ClientQuotaEntity entity) =>
        $"ClientQuotaEntity(entries={{{string.Join(", ", entity.Parts.Select(part => $"{part.Key}={part.Value ?? "null"}"))}}})";

    private static ApiError Invalid(string message) => new(ErrorCode.InvalidRequest, message);
}
