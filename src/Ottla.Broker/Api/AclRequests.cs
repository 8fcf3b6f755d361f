using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.StateMachines.Authorization;

namespace Ottla.Broker.Api;

/// <summary>What the APIs of access control entries have in common.</summary>
internal static class AclRequests
{
    /// <summary>The code of nothing, which no request may contain.</summary>
    private const sbyte Unknown = 0;

    /// <summary>The error where no authorizer is configured.</summary>
    public static ApiException Disabled() => new(ErrorCode.SecurityDisabled, "No Authorizer is configured.");

    /// <summary>
    /// Ends the connection of a client that sends a code which stands for nothing, as Kafka does: its request is malformed.
    /// </summary>
    /// <param name="context">The context of the request.</param>
    /// <param name="codes">The kind of resource, the pattern type, the operation and the permission type.</param>
    /// <returns>Whether the connection is ended.</returns>
    /// <exception cref="MalformedMessageException">
    /// A broker forwarded the request: then the connection of the client is ended there, and not that of the broker here.
    /// </exception>
    public static bool EndsIfUnknown(in RequestContext context, params ReadOnlySpan<sbyte> codes)
    {
        if (!codes.Contains(Unknown))
            return false;
        const string Reason = "a code of an access control entry is 0, which is unknown";
        if (context.Connection.IsForwarded)
            throw new MalformedMessageException(Reason);
        context.Connection.End(Reason);
        return true;
    }

    /// <summary>Whether any code is one that only filters may have.</summary>
    public static bool IsForFilters(AclBinding binding) =>
        binding.ResourceType == AclBinding.Any || binding.PatternType is AclBinding.Any or AclBinding.Match
        || binding.Operation == AclBinding.Any || binding.PermissionType == AclBinding.Any;
}
