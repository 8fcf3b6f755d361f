using System.Globalization;

namespace Ottla.Client.PropertyNames;

/// <summary>What properties are read into.</summary>
internal sealed class PropertyTarget
{
    private readonly List<IgnoredProperty> _ignored = [];

    public OttlaClientOptions Client { get; set; } = new();

    public ProducerOptions Producer { get; set; } = new();

    public ConsumerOptions Consumer { get; set; } = new();

    public SecurityProperties Security { get; } = new();

    public IReadOnlyList<IgnoredProperty> Ignored => _ignored;

    public void Ignore(string name, string reason) => _ignored.Add(new IgnoredProperty(name, reason));
}

/// <summary>A property's value.</summary>
/// <param name="Name">The property.</param>
/// <param name="Text">The value as it stands.</param>
internal readonly record struct PropertyValue(string Name, string Text)
{
    public int Int => int.Parse(Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);

    public long Long => long.Parse(Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);

    /// <summary>Milliseconds; librdkafka allows fractions.</summary>
    public TimeSpan Milliseconds => TimeSpan.FromMilliseconds(double.Parse(Text, NumberStyles.Float, CultureInfo.InvariantCulture));

    public bool Bool => Text.Trim().ToUpperInvariant() switch
    {
        "TRUE" or "1" or "T" or "YES" or "Y" => true,
        "FALSE" or "0" or "F" or "NO" or "N" => false,
        _ => throw new FormatException("true or false is expected"),
    };

    /// <summary>The value's name, in lower case.</summary>
    public string Word => Text.Trim().ToLowerInvariant();

    /// <summary>Several values, separated by commas.</summary>
    public string[] List => Text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary>What to throw when the value is none of those that are known.</summary>
    public FormatException Unknown(string expected) => new($"{expected} is expected for {Name}");
}
