using System.Globalization;
using System.Text;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;

namespace Ottla.Cli;

/// <summary>Prints features as kafka-features does.</summary>
internal static class FeaturesText
{
    /// <summary>A line for each feature that the node supports, by name.</summary>
    public static string Describe(ApiVersionsResponse node)
    {
        var text = new StringBuilder();
        var epoch = node.FinalizedFeaturesEpoch >= 0 ? node.FinalizedFeaturesEpoch.ToString(CultureInfo.InvariantCulture) : "-";
        foreach (var feature in node.SupportedFeatures.OrderBy(feature => feature.Name, StringComparer.Ordinal))
        {
            var level = node.FinalizedFeatures.FirstOrDefault(each => each.Name == feature.Name)?.MaxVersionLevel ?? 0;
            text.Append(
                CultureInfo.InvariantCulture,
                $"Feature: {feature.Name,-40}  SupportedMinVersion: {Level(feature.Name, feature.MinVersion),-15}  SupportedMaxVersion: "
                + $"{Level(feature.Name, feature.MaxVersion),-15}  FinalizedVersionLevel: {Level(feature.Name, level),-15}  Epoch: "
                    + $"{epoch}\n");
        }

        return text.ToString();
    }

    /// <summary>The error of a change: of the whole request or, before version 2, of one feature.</summary>
    public static (ErrorCode Error, string? Message) ErrorOf(UpdateFeaturesResponse answer)
    {
        if (answer.ErrorCode != (short)ErrorCode.None)
            return ((ErrorCode)answer.ErrorCode, answer.ErrorMessage);
        return answer.Results.FirstOrDefault(result => result.ErrorCode != (short)ErrorCode.None) is { } failed
            ? ((ErrorCode)failed.ErrorCode, failed.ErrorMessage)
            : (ErrorCode.None, null);
    }

    private static string Level(string feature, short level)
    {
        if (feature != MetadataVersion.FeatureName)
            return level.ToString(CultureInfo.InvariantCulture);
        var version = new MetadataVersion(level);
        return version.IsKnown ? version.Name : string.Create(CultureInfo.InvariantCulture, $"UNKNOWN {level}");
    }
}
