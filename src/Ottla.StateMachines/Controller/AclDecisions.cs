using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>CreateAcls (KIP-140). Fails per entry: the reply has one result for each, in order.</summary>
/// <param name="Bindings">The entries.</param>
public sealed record CreateAclsCommand(IReadOnlyList<AclBinding> Bindings) : ControllerCommand<IReadOnlyList<ApiError>>
{
    internal override Decision<MetadataRecord, IReadOnlyList<ApiError>> Decide(QuorumController controller, in ControllerState state) =>
        AclDecisions.Create(this, controller, state);
}

/// <summary>The entries that a filter deleted.</summary>
/// <param name="Error">Why nothing was deleted.</param>
/// <param name="Deleted">The entries; those that two filters match are in both.</param>
public sealed record AclDeletion(ApiError Error, IReadOnlyList<AclBinding> Deleted);

/// <summary>DeleteAcls (KIP-140). Fails per filter: the reply has one result for each, in order.</summary>
/// <param name="Filters">The filters.</param>
public sealed record DeleteAclsCommand(IReadOnlyList<AclFilter> Filters) : ControllerCommand<IReadOnlyList<AclDeletion>>
{
    internal override Decision<MetadataRecord, IReadOnlyList<AclDeletion>> Decide(
        QuorumController controller, in ControllerState state) => AclDecisions.Delete(this, state);
}

/// <summary>Decides about changes to the access control entries.</summary>
internal static class AclDecisions
{
    /// <summary>Creates entries. One that exists already is no error, and gets no record.</summary>
    public static Decision<MetadataRecord, IReadOnlyList<ApiError>> Create(
        CreateAclsCommand command, QuorumController controller, in ControllerState state)
    {
        var image = state.Image;
        var supportsNetworks = image.Features.MetadataVersionOrThrow.SupportsNetworksInAcls;
        List<ApiError> answers = [.. command.Bindings.Select(binding => Check(binding, supportsNetworks))];
        var wanted = command.Bindings.Where((_, i) => !answers[i].IsFailure).ToHashSet();
        if (wanted.Count > 0)
            wanted.ExceptWith(image.Acls.ById.Values.Select(AclBinding.Of));
        List<MetadataRecord> records = [];
        foreach (var binding in command.Bindings)
        {
            if (wanted.Remove(binding))
                records.Add(Record(NewId(controller, image), binding));
        }

        QuorumController.CheckSize(records);
        return new(records, answers, true);
    }

    /// <summary>Deletes the entries that filters match.</summary>
    /// <exception cref="ApiException">INVALID_REQUEST: more entries match than one request may delete.</exception>
    public static Decision<MetadataRecord, IReadOnlyList<AclDeletion>> Delete(DeleteAclsCommand command, in ControllerState state)
    {
        var deleted = new HashSet<Uuid>();
        List<MetadataRecord> records = [];
        List<AclDeletion> answers = [];
        foreach (var filter in command.Filters)
        {
            if (ReasonInvalid(filter) is { } reason)
            {
                answers.Add(new AclDeletion(new ApiError(ErrorCode.InvalidRequest, reason), []));
                continue;
            }

            List<AclBinding> matching = [];
            foreach (var entry in state.Image.Acls.ById.Values)
            {
                if (!filter.Matches(entry))
                    continue;
                matching.Add(AclBinding.Of(entry));
                if (deleted.Add(entry.Id))
                    records.Add(new MetadataRecord(new RemoveAccessControlEntryRecord { Id = entry.Id }, 0));
                if (records.Count > QuorumController.UserOperationRecordsMax)
                {
                    // Not a part of them: what is missing from a long answer is easily overlooked.
                    throw new ApiException(
                        ErrorCode.InvalidRequest,
                        $"Cannot remove more than {QuorumController.UserOperationRecordsMax} acls in a single delete operation.");
                }
            }

            answers.Add(new AclDeletion(ApiError.None, matching));
        }

        return new(records, answers, true);
    }

    private static MetadataRecord Record(Uuid id, AclBinding binding) => new(
        new AccessControlEntryRecord
        {
            Id = id,
            ResourceType = binding.ResourceType,
            ResourceName = binding.ResourceName,
            PatternType = binding.PatternType,
            Principal = binding.Principal,
            Host = binding.Host,
            Operation = binding.Operation,
            PermissionType = binding.PermissionType,
        },
        0);

    private static Uuid NewId(QuorumController controller, MetadataImage image)
    {
        Uuid id;
        do
        {
            id = Uuid.NewRandom(controller.Random);
        }
        while (image.Acls.ById.ContainsKey(id));
        return id;
    }

    private static ApiError Check(AclBinding binding, bool supportsNetworks)
    {
        if (ReasonInvalid(binding) is { } reason)
            return new ApiError(ErrorCode.InvalidRequest, reason);
        if (!binding.Host.Contains('/', StringComparison.Ordinal))
            return ApiError.None;
        if (!supportsNetworks)
        {
            return new ApiError(
                ErrorCode.UnsupportedVersion,
                $"CIDR-based ACL host patterns require metadata version {MetadataVersion.V4_4_IV1} or higher.");
        }

        return HostPattern.ReasonInvalidNetwork(binding.Host) is { } why
            ? new ApiError(ErrorCode.InvalidRequest, $"Invalid CIDR notation '{binding.Host}': {why}")
            : ApiError.None;
    }

    private static string? ReasonInvalid(AclBinding binding)
    {
        if (binding.ResourceType == (sbyte)ResourceType.Cluster && binding.ResourceName != AclBinding.ClusterName)
            return $"The only valid name for the CLUSTER resource is {AclBinding.ClusterName}";
        if (binding.ResourceName.Length == 0)
            return "Invalid empty resource name";
        if (!IsResourceType(binding.ResourceType))
            return $"Invalid resourceType {Unknown(binding.ResourceType)}";
        if (binding.PatternType is not (AclBinding.Literal or AclBinding.Prefixed))
            return $"Invalid patternType {Unknown(binding.PatternType)}";
        if (!IsOperation(binding.Operation))
            return $"Invalid operation {Unknown(binding.Operation)}";
        if (binding.PermissionType is not (AclBinding.Deny or AclBinding.Allow))
            return $"Invalid permissionType {Unknown(binding.PermissionType)}";
        if (!binding.Principal.Contains(':', StringComparison.Ordinal))
        {
            return $"Could not parse principal from `{binding.Principal}` (no colon is present separating the principal type from the "
                + "principal name)";
        }

        return binding.Host.Length == 0 ? "Host pattern cannot be null or empty" : null;

        static string Unknown(sbyte code) => code == AclBinding.Any ? "ANY" : "UNKNOWN";
    }

    private static string? ReasonInvalid(AclFilter filter)
    {
        if (!(filter.ResourceType == AclBinding.Any || IsResourceType(filter.ResourceType))
            || filter.PatternType is < AclBinding.Any or > AclBinding.Prefixed)
            return "Unknown patternFilter.";
        return (filter.Operation == AclBinding.Any || IsOperation(filter.Operation))
            && filter.PermissionType is AclBinding.Any or AclBinding.Deny or AclBinding.Allow
            ? null
            : "Unknown entryFilter.";
    }

    private static bool IsResourceType(sbyte code) => Enum.IsDefined((ResourceType)code);

    private static bool IsOperation(sbyte code) => code == OperationMasks.All || Enum.IsDefined((AclOperation)code);
}
