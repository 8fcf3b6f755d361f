namespace Ottla.Configuration;

/// <summary>
/// What is known of one config: its name, type, default, allowed values and how it may be changed. Immutable; made once,
/// in the tables of <see cref="ConfigRegistry"/>.
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

    /// <summary>The default as text, or null for none.</summary>
    public required string? DefaultText { get; init; }

    /// <summary>True when there is no default and a value has to be given.</summary>
    public bool IsRequired { get; init; }

    /// <summary>What is allowed beyond the type, or null for everything.</summary>
    public ConfigValidator? Validator { get; init; }

    /// <summary>How a broker config may be changed; topic, group and client metrics configs are always dynamic.</summary>
    public required ConfigUpdateMode UpdateMode { get; init; }

    public required ConfigImportance Importance { get; init; }

    /// <summary>One sentence for people.</summary>
    public required string Documentation { get; init; }

    /// <summary>True for configs that Kafka keeps out of its documentation and out of DescribeConfigs.</summary>
    public bool IsInternal { get; init; }

    /// <summary>The heading it is documented under.</summary>
    public string Section { get; internal set; } = "";

    /// <summary>The kind of resource it belongs to.</summary>
    public ConfigResourceType Scope { get; internal set; }

    /// <summary>True when values must not be shown.</summary>
    public bool IsSensitive => Type == ConfigType.Password;

    /// <summary>What is allowed beyond the type, as text; empty for everything.</summary>
    public string ValidValues => Validator?.Description ?? "";

    /// <summary>The configs that give the value when this one is not set, first match first; empty when there are none.</summary>
    public IReadOnlyList<ConfigSynonymRule> Synonyms => ConfigSynonyms.Of(Scope, Name);

    /// <summary>Whether Ottla acts on it yet; the list is <see cref="EffectiveConfigs"/>.</summary>
    public bool HasEffect => EffectiveConfigs.Contains(Scope, Name);

    /// <summary>The parsed default; a null value when there is none.</summary>
    public ConfigValue Default => _default.Value;

    /// <summary>Parses and checks a value.</summary>
    /// <exception cref="ConfigException">The text is not of the type or not allowed.</exception>
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
