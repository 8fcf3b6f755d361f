using System.Globalization;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>Changes the levels of this node's loggers for clients. Has no state; used by any thread.</summary>
internal sealed class LoggerLevels(int nodeId, LeveledLoggers loggers)
{
    /// <summary>Makes the changes, all or none of them.</summary>
    public ApiError Alter(ConfigChange change, bool validateOnly)
    {
        if (ConfigAlterer.MalformedReason(change) is { } malformed)
            return new ApiError(ErrorCode.InvalidRequest, malformed);
        if (!int.TryParse(change.Resource.Name, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var id))
            return new ApiError(ErrorCode.InvalidRequest, $"Node id must be an integer, but it is: {change.Resource.Name}");
        if (id != nodeId)
            return new ApiError(ErrorCode.InvalidRequest, $"Unexpected node id. Expected {nodeId}, but received {id}");
        try
        {
            loggers.Alter(change.Alterations, validateOnly);
            return ApiError.None;
        }
        catch (ConfigException e)
        {
            return ConfigAlterer.ToError(e);
        }
    }
}
