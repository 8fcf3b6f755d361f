using System.Globalization;

namespace Ottla.Configuration;

/// <summary>Makes the rows of the definition tables: one function per type, so that a table reads like a table.</summary>
internal static class ConfigRow
{
    public const ConfigUpdateMode ReadOnly = ConfigUpdateMode.ReadOnly;
    public const ConfigUpdateMode PerBroker = ConfigUpdateMode.PerBroker;
    public const ConfigUpdateMode ClusterWide = ConfigUpdateMode.ClusterWide;
    public const ConfigUpdateMode DynamicOnly = ConfigUpdateMode.DynamicOnly;
    public const ConfigImportance High = ConfigImportance.High;
    public const ConfigImportance Medium = ConfigImportance.Medium;
    public const ConfigImportance Low = ConfigImportance.Low;

    public static ConfigDefinition Bool(
        string name, bool value, ConfigUpdateMode mode, ConfigImportance importance, string documentation) =>
        Row(ConfigType.Boolean, name, value ? "true" : "false", null, mode, importance, documentation);

    public static ConfigDefinition Int(
        string name, int? value, ConfigValidator? validator, ConfigUpdateMode mode, ConfigImportance importance, string documentation) =>
        Row(ConfigType.Int, name, value?.ToString(CultureInfo.InvariantCulture), validator, mode, importance, documentation);

    public static ConfigDefinition Short(
        string name, short value, ConfigValidator? validator, ConfigUpdateMode mode, ConfigImportance importance, string documentation) =>
        Row(ConfigType.Short, name, value.ToString(CultureInfo.InvariantCulture), validator, mode, importance, documentation);

    public static ConfigDefinition Long(
        string name, long? value, ConfigValidator? validator, ConfigUpdateMode mode, ConfigImportance importance, string documentation) =>
        Row(ConfigType.Long, name, value?.ToString(CultureInfo.InvariantCulture), validator, mode, importance, documentation);

    public static ConfigDefinition Double(
        string name, double value, ConfigValidator? validator, ConfigUpdateMode mode, ConfigImportance importance, string documentation) =>
        Row(ConfigType.Double, name, JavaText.FormatDouble(value), validator, mode, importance, documentation);

    public static ConfigDefinition Text(
        string name, string? value, ConfigValidator? validator, ConfigUpdateMode mode, ConfigImportance importance, string documentation) =>
        Row(ConfigType.String, name, value, validator, mode, importance, documentation);

    public static ConfigDefinition List(
        string name, string? value, ConfigValidator? validator, ConfigUpdateMode mode, ConfigImportance importance, string documentation) =>
        Row(ConfigType.List, name, value, validator, mode, importance, documentation);

    public static ConfigDefinition Class(
        string name, string? value, ConfigUpdateMode mode, ConfigImportance importance, string documentation) =>
        Row(ConfigType.Class, name, value, null, mode, importance, documentation);

    public static ConfigDefinition Password(string name, ConfigUpdateMode mode, ConfigImportance importance, string documentation) =>
        Row(ConfigType.Password, name, null, null, mode, importance, documentation);

    public static ConfigDefinition RequiredInt(
        string name, ConfigValidator? validator, ConfigUpdateMode mode, ConfigImportance importance, string documentation) =>
        Row(ConfigType.Int, name, null, validator, mode, importance, documentation, isRequired: true);

    public static ConfigDefinition RequiredList(
        string name, ConfigValidator? validator, ConfigUpdateMode mode, ConfigImportance importance, string documentation) =>
        Row(ConfigType.List, name, null, validator, mode, importance, documentation, isRequired: true);

    /// <summary>A config that Kafka does not document. It is accepted, and shown only where it is set.</summary>
    public static ConfigDefinition Internal(
        ConfigType type, string name, string? value, ConfigValidator? validator, string documentation) =>
        Row(type, name, value, validator, ReadOnly, Low, documentation, isInternal: true);

    /// <summary>The same config, omitted from the documentation, and from DescribeConfigs until it is set.</summary>
    public static ConfigDefinition Internal(ConfigDefinition row) => Row(
        row.Type, row.Name, row.DefaultText, row.Validator, row.UpdateMode, row.Importance, row.Documentation, row.IsRequired,
            isInternal: true);

    private static ConfigDefinition Row(
        ConfigType type,
        string name,
        string? value,
        ConfigValidator? validator,
        ConfigUpdateMode mode,
        ConfigImportance importance,
        string documentation,
        bool isRequired = false,
        bool isInternal = false) => new()
        {
            Name = name,
            Type = type,
            DefaultText = value,
            Validator = validator,
            UpdateMode = mode,
            Importance = importance,
            Documentation = documentation,
            IsRequired = isRequired,
            IsInternal = isInternal,
        };
}
