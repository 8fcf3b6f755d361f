namespace Ottla.Configuration;

/// <summary>
/// The definition of one config: its name, type, default, valid values and update mode. Immutable; made once in the tables of
/// <see cref="ConfigRegistry"/>.
/// </summary>
public sealed class ConfigDefinition
{
    private readonly Lazy<ConfigValue> _default;

    internal ConfigDefinition()
    {
        _default = new Lazy<ConfigValue>(() => ConfigValue.Parse(Name!, Type, DefaultText));
    }

    public required string Name { get; init; }

    public required ConfigType Type { get; init; }

    /// <summary>The default as text; null for none.</summary>
    public required string? DefaultText { get; init; }

    /// <summary>Whether a value must be set because there is no default.</summary>
    public bool IsRequired { get; init; }

    /// <summary>Checks beyond the type; null for none.</summary>
    public ConfigValidator? Validator { get; init; }

    /// <summary>How a broker config may be changed; topic, group and client metrics configs are always dynamic.</summary>
    public required ConfigUpdateMode UpdateMode { get; init; }

    public required ConfigImportance Importance { get; init; }

    /// <summary>One sentence of documentation.</summary>
    public required string Documentation { get; init; }

    /// <summary>Whether Kafka omits the config from its documentation and from DescribeConfigs.</summary>
    public bool IsInternal { get; init; }

    /// <summary>Its heading in the documentation.</summary>
    public string Section { get; internal set; } = "";

    /// <summary>The kind of resource that has the config.</summary>
    public ConfigResourceType Scope { get; internal set; }

    /// <summary>Whether values are secret.</summary>
    public bool IsSensitive => Type == ConfigType.Password;

    /// <summary>The valid values as text; empty for all values of the type.</summary>
    public string ValidValues => Validator?.Description ?? "";

    /// <summary>The configs that provide the value when this one is not set, in order of precedence.</summary>
    public IReadOnlyList<ConfigSynonymRule> Synonyms => ConfigSynonyms.Of(Scope, Name);

    /// <summary>Whether Ottla supports the config; the list is <see cref="EffectiveConfigs"/>.</summary>
    public bool HasEffect => EffectiveConfigs.Contains(Scope, Name);

    /// <summary>The parsed default; a null value for none.</summary>
    public ConfigValue Default => _default.Value;

    /// <summary>Parses and checks a value.</summary>
    /// <exception cref="ConfigException">The text has the wrong type or is not allowed.</exception>
    public ConfigValue Parse(string? text)
    {
        try
        {
            var value = ConfigValue.Parse(Name, Type, text);
            if (Validator is null)
                return value;
            if (Validator.RemovesDuplicates && !value.IsNull)
                value = ConfigValue.OfList([.. value.AsList.Distinct(StringComparer.Ordinal)]);
            Validator.Validate(Name, value);
            return value;
        }
        catch (ConfigException e) when (IsSensitive && text is not null && e.Message.Contains(text, StringComparison.Ordinal))
        {
            throw new ConfigException(Name, ConfigValue.Hidden, "the value is not allowed");
        }
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
