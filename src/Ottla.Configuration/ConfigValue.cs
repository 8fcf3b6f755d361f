using System.Globalization;

namespace Ottla.Configuration;

/// <summary>
/// One parsed config value. Immutable and shared freely between threads; typed access throws
/// <see cref="InvalidOperationException"/> when asked for another type than the definition's.
/// </summary>
public sealed class ConfigValue
{
    /// <summary>What is shown in place of a password.</summary>
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

    /// <summary>The type it was parsed as.</summary>
    public ConfigType Type { get; }

    /// <summary>True for a config without a value.</summary>
    public bool IsNull { get; }

    public bool AsBoolean => Require(ConfigType.Boolean)._integer != 0;

    public int AsInt => Type == ConfigType.Short ? (int)Require(ConfigType.Short)._integer : (int)Require(ConfigType.Int)._integer;

    public short AsShort => (short)Require(ConfigType.Short)._integer;

    /// <summary>Any of the three integer types, widened.</summary>
    public long AsLong => Type is ConfigType.Int or ConfigType.Short ? AsInt : Require(ConfigType.Long)._integer;

    public double AsDouble => Require(ConfigType.Double)._double;

    public IReadOnlyList<string> AsList => Require(ConfigType.List)._list!;

    /// <summary>A string's or class name's text, or null.</summary>
    public string? AsString => Type is ConfigType.String or ConfigType.Class
        ? _text
        : throw new InvalidOperationException($"A {Type} config has no string value.");

    /// <summary>A password in clear, or null. Never log it.</summary>
    public string? Secret => Type == ConfigType.Password
        ? _text
        : throw new InvalidOperationException($"A {Type} config is no password.");

    /// <summary>A number of any type as a double, for range checks.</summary>
    internal double AsNumber => Type == ConfigType.Double ? _double : _integer;

    /// <summary>The value as Kafka writes it: lists joined with commas, doubles as Java does, passwords as <see cref="Hidden"/>.</summary>
    public string? ToText() => Type == ConfigType.Password && !IsNull ? Hidden : ToRawText();

    /// <inheritdoc/>
    public override string ToString() => ToText() ?? "null";

    internal static ConfigValue Null(ConfigType type) => new(type, isNull: true, null, 0, 0, null);

    internal static ConfigValue OfList(IReadOnlyList<string> items) => new(ConfigType.List, isNull: false, null, 0, 0, items);

    /// <summary>Parses text as Kafka's ConfigDef does: trimmed; numbers in decimal; lists split at commas.</summary>
    /// <exception cref="ConfigException">The text is not of the type.</exception>
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
        if (!long.TryParse(trimmed, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) || value < min || value > max)
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

    /// <summary>The value as text with passwords in clear, for comparing and storing.</summary>
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
            throw new InvalidOperationException($"A {Type} config was read as {type}.");
        if (IsNull)
            throw new InvalidOperationException($"A {Type} config without a value was read.");
        return this;
    }
}
