using System.Globalization;

namespace Ottla.Configuration;

/// <summary>
/// One parsed config value. Immutable; any thread may read it. Access as a type other than the definition's throws
/// <see cref="InvalidOperationException"/>.
/// </summary>
public sealed class ConfigValue
{
    /// <summary>Shown instead of a password.</summary>
    public const string Hidden = "[hidden]";

    private readonly string? _text;
    private readonly long _integer;
    private readonly double _double;
    private readonly IReadOnlyList<string>? _list;

    private ConfigValue(ConfigType type, bool isNull, string? text, long integer, double number, IReadOnlyList<string>? list)
    {
        Type = type;
        IsNull = isNull;
        _text = text;
        _integer = integer;
        _double = number;
        _list = list;
    }

    /// <summary>The type of the value.</summary>
    public ConfigType Type { get; }

    /// <summary>Whether the config has no value.</summary>
    public bool IsNull { get; }

    public bool AsBoolean => Require(ConfigType.Boolean)._integer != 0;

    public int AsInt => Type == ConfigType.Short ? (int)Require(ConfigType.Short)._integer : (int)Require(ConfigType.Int)._integer;

    public short AsShort => (short)Require(ConfigType.Short)._integer;

    /// <summary>The value of any of the three integer types.</summary>
    public long AsLong => Type is ConfigType.Int or ConfigType.Short ? AsInt : Require(ConfigType.Long)._integer;

    public double AsDouble => Require(ConfigType.Double)._double;

    public IReadOnlyList<string> AsList => Require(ConfigType.List)._list!;

    /// <summary>The text of a string or class name; null for none.</summary>
    public string? AsString => Type is ConfigType.String or ConfigType.Class
        ? _text
        : throw new InvalidOperationException($"A {Type} config has no string value.");

    /// <summary>A password in clear text; null for none. Never log it.</summary>
    public string? Secret => Type == ConfigType.Password
        ? _text
        : throw new InvalidOperationException($"A {Type} config is not a password.");

    /// <summary>A number of any type as a double, for range checks.</summary>
    internal double AsNumber => Type == ConfigType.Double ? _double : _integer;

    /// <summary>The value in Kafka's form: lists joined with commas, doubles as in Java, passwords as <see cref="Hidden"/>.</summary>
    public string? ToText() => Type == ConfigType.Password && !IsNull ? Hidden : ToRawText();

    /// <inheritdoc/>
    public override string ToString() => ToText() ?? "null";

    internal static ConfigValue Null(ConfigType type) => new(type, isNull: true, null, 0, 0, null);

    internal static ConfigValue OfList(IReadOnlyList<string> items) => new(ConfigType.List, isNull: false, null, 0, 0, items);

    /// <summary>Parses text like Kafka's ConfigDef: trimmed; numbers in decimal; lists split at commas.</summary>
    /// <exception cref="ConfigException">The text has the wrong type.</exception>
    internal static ConfigValue Parse(string name, ConfigType type, string? text)
    {
        if (text is null)
            return Null(type);
        var trimmed = JavaText.Trim(text);
        return type switch
        {
            ConfigType.Boolean => ParseBoolean(name, text, trimmed),
            ConfigType.Int => ParseInteger(name, type, text, trimmed, int.MinValue, int.MaxValue),
            ConfigType.Short => ParseInteger(name, type, text, trimmed, short.MinValue, short.MaxValue),
            ConfigType.Long => ParseInteger(name, type, text, trimmed, long.MinValue, long.MaxValue),
            ConfigType.Double => ParseDouble(name, text, trimmed),
            ConfigType.List => OfList(JavaText.SplitList(trimmed)),
            _ => new ConfigValue(type, isNull: false, trimmed, 0, 0, null),
        };
    }

    private static ConfigValue ParseBoolean(string name, string text, string trimmed)
    {
        if (trimmed.Equals("true", StringComparison.OrdinalIgnoreCase))
            return new ConfigValue(ConfigType.Boolean, isNull: false, null, 1, 0, null);
        if (trimmed.Equals("false", StringComparison.OrdinalIgnoreCase))
            return new ConfigValue(ConfigType.Boolean, isNull: false, null, 0, 0, null);
        throw new ConfigException(name, text, "Expected value to be either true or false");
    }

    private static ConfigValue ParseInteger(string name, ConfigType type, string text, string trimmed, long min, long max)
    {
        if (!long.TryParse(trimmed, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) || value < min
            || value > max)
            throw NotANumber(name, type, text);
        return new ConfigValue(type, isNull: false, null, value, 0, null);
    }

    private static ConfigValue ParseDouble(string name, string text, string trimmed)
    {
        const NumberStyles styles = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        if (!double.TryParse(trimmed, styles, CultureInfo.InvariantCulture, out var value))
            throw NotANumber(name, ConfigType.Double, text);
        return new ConfigValue(ConfigType.Double, isNull: false, null, 0, value, null);
    }

    private static ConfigException NotANumber(string name, ConfigType type, string text) =>
        new(name, text, $"Not a number of type {type.ToString().ToUpperInvariant()}");

    /// <summary>The value as text, with passwords in clear text, for comparison and storage.</summary>
    internal string? ToRawText()
    {
        if (IsNull)
            return null;
        return Type switch
        {
            ConfigType.Boolean => _integer != 0 ? "true" : "false",
            ConfigType.Int or ConfigType.Short or ConfigType.Long => _integer.ToString(CultureInfo.InvariantCulture),
            ConfigType.Double => JavaText.FormatDouble(_double),
            ConfigType.List => string.Join(',', _list!),
            _ => _text,
        };
    }

    private ConfigValue Require(ConfigType type)
    {
        if (Type != type)
            throw new InvalidOperationException($"A config of type {Type} was read as {type}.");
        if (IsNull)
            throw new InvalidOperationException($"A config of type {Type} was read, but it has no value.");
        return this;
    }
}
