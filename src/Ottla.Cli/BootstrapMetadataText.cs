using Ottla.Broker.Directories;
using Ottla.Protocol.Messages;

namespace Ottla.Cli;

/// <summary>The records that a cluster begins with, as kafka-storage prints them.</summary>
/// <remarks>
/// Unlike kafka-storage, it leaves out the secrets of SCRAM credentials: scripts that format nodes would write them into their logs.
/// </remarks>
internal static class BootstrapMetadataText
{
    /// <summary>The text of a plan's records.</summary>
    public static string Of(FormatPlan plan)
    {
        var records = plan.Records.Select(record => $"ApiMessageAndVersion({Of(record.Message)} at version {record.Version})");
        return $"BootstrapMetadata(records=[{string.Join(", ", records)}], metadataVersionLevel={plan.MetadataVersion.Level}, "
            + "source=format command)";
    }

    private static string Of(IMessage record) => record switch
    {
        FeatureLevelRecord level => $"FeatureLevelRecord(name='{level.Name}', featureLevel={level.FeatureLevel})",
        UserScramCredentialRecord user =>
            $"UserScramCredentialRecord(name='{user.Name}', mechanism={user.Mechanism}, salt=(redacted), storedKey=(redacted), "
            + $"serverKey=(redacted), iterations={user.Iterations})",
        _ => throw new InvalidOperationException($"format writes no {record.GetType().Name}"),
    };
}
