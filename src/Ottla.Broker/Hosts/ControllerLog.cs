using Microsoft.Extensions.Logging;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;

namespace Ottla.Broker.Hosts;

/// <summary>Logs for operators what the active controller decides about nodes and features. Stateless.</summary>
internal static partial class ControllerLog
{
    private const sbyte Fenced = 1;
    private const sbyte Unfenced = -1;
    private const sbyte ShuttingDown = 1;

    /// <summary>Logs the changes of nodes and features in appended records.</summary>
    public static void LogAppended(ILogger logger, IReadOnlyList<MetadataRecord> records)
    {
        foreach (var record in records)
        {
            switch (record.Message)
            {
                case RegisterBrokerRecord registered:
                    LogRegistered(logger, registered.BrokerId, registered.IncarnationId.ToString(), registered.BrokerEpoch);
                    break;
                case UnregisterBrokerRecord unregistered:
                    LogUnregistered(logger, "Broker", unregistered.BrokerId);
                    break;
                case BrokerRegistrationChangeRecord { Fenced: Fenced } fenced:
                    LogFenced(logger, fenced.BrokerId, fenced.BrokerEpoch);
                    break;
                case BrokerRegistrationChangeRecord { Fenced: Unfenced } unfenced:
                    LogUnfenced(logger, unfenced.BrokerId, unfenced.BrokerEpoch);
                    break;
                case BrokerRegistrationChangeRecord { InControlledShutdown: ShuttingDown } shuttingDown:
                    LogShuttingDown(logger, shuttingDown.BrokerId, shuttingDown.BrokerEpoch);
                    break;
                case RegisterControllerRecord registered:
                    LogControllerRegistered(logger, registered.ControllerId, registered.IncarnationId.ToString());
                    break;
                case UnregisterControllerRecord unregistered:
                    LogUnregistered(logger, "Controller", unregistered.ControllerId);
                    break;
                case FeatureLevelRecord feature:
                    LogFeature(logger, feature.Name, feature.FeatureLevel);
                    break;
                default:
                    break;
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Broker {Id} registers, incarnation {Incarnation}, epoch {Epoch}")]
    private static partial void LogRegistered(ILogger logger, int id, string incarnation, long epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "Controller {Id} registers, incarnation {Incarnation}")]
    private static partial void LogControllerRegistered(ILogger logger, int id, string incarnation);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Kind} {Id} is unregistered")]
    private static partial void LogUnregistered(ILogger logger, string kind, int id);

    [LoggerMessage(
        Level = LogLevel.Information,
            Message = "Broker {Id} is fenced at epoch {Epoch}: it leads no partitions, and clients do not see it")]
    private static partial void LogFenced(ILogger logger, int id, long epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "Broker {Id} is unfenced at epoch {Epoch}")]
    private static partial void LogUnfenced(ILogger logger, int id, long epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "Broker {Id} shuts down in order at epoch {Epoch}: its leaderships are moved")]
    private static partial void LogShuttingDown(ILogger logger, int id, long epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "The feature {Name} has level {Level} now")]
    private static partial void LogFeature(ILogger logger, string name, short level);
}
