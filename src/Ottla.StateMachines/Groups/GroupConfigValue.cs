using System.Globalization;
using Ottla.Configuration;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups;

/// <summary>Reads the configs that a group has of its own.</summary>
public static class GroupConfigValue
{
    /// <summary>A number of the group, limited by the broker's bounds; or else the broker's.</summary>
    public static int Bounded(MetadataImage image, string groupId, string name, int ofBroker, int min, int max) =>
        Text(image, groupId, name) is { } text ? Math.Clamp(int.Parse(text, CultureInfo.InvariantCulture), min, max) : ofBroker;

    /// <summary>A text of the group; null when it has none.</summary>
    public static string? Text(MetadataImage image, string groupId, string name) =>
        image.Configs.Value(new ConfigResource(ConfigResourceType.Group, groupId), name);
}
