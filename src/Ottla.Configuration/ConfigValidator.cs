using System.Globalization;

namespace Ottla.Configuration;

/// <summary>Checks the values of a config beyond their type. Immutable; shared by the tables of definitions.</summary>
public abstract class ConfigValidator
{
    /// <summary>The valid values in the form of Kafka's documentation: <c>[1,...]</c>, <c>[producer, gzip]</c>.</summary>
    public abstract string Description { get; }

    /// <summary>Whether duplicates are removed from a list before the check, as Kafka's list validators do.</summary>
    internal virtual bool RemovesDuplicates => false;

    /// <summary>Throws when a value is not allowed.</summary>
    /// <exception cref="ConfigException">The value is not allowed; the message tells the valid values.</exception>
    public abstract void Validate(string name, ConfigValue value);

    /// <summary>A number of at least <paramref name="min"/>.</summary>
    internal static ConfigValidator AtLeast(long min) => new RangeValidator(min, null);

    /// <summary>A number between two bounds, both included.</summary>
    internal static ConfigValidator Between(double min, double max) => new RangeValidator(min, max);

    /// <summary>One of the given words.</summary>
    internal static ConfigValidator OneOf(params string[] allowed) => new WordValidator(allowed, ignoreCase: false);

    /// <summary>One of the given words in any case.</summary>
    internal static ConfigValidator OneOfIgnoringCase(params string[] allowed) => new WordValidator(allowed, ignoreCase: true);

    /// <summary>A list of any values, none of them empty.</summary>
    internal static ConfigValidator AnyList(bool allowEmpty = true, bool allowNull = false) => new ListValidator([], allowEmpty, allowNull);

    /// <summary>A list of the given words.</summary>
    internal static ConfigValidator ListOf(params string[] allowed) => new ListValidator(allowed, allowEmpty: true, allowNull: false);

    /// <summary>A list of at least one of the given words.</summary>
    internal static ConfigValidator NonEmptyListOf(params string[] allowed) =>
        new ListValidator(allowed, allowEmpty: false, allowNull: false);

    /// <summary>A check in code. <paramref name="check"/> returns the error, or null.</summary>
    internal static ConfigValidator Rule(string description, Func<ConfigValue, string?> check) =>
        new RuleValidator(description, (_, value) => check(value), value => value.ToText());

    /// <summary>A check in code for a whole list. <paramref name="check"/> also gets the name of the config.</summary>
    internal static ConfigValidator ListRule(string description, Func<string, ConfigValue, string?> check) =>
        // the form of a Java list
        new RuleValidator(description, check, value => value.IsNull ? null : $"[{string.Join(", ", value.AsList)}]");

    private sealed class RangeValidator(double min, double? max) : ConfigValidator
    {
        public override string Description => max is null ? $"[{Text(min)},...]" : $"[{Text(min)},...,{Text(max.Value)}]";

        public override void Validate(string name, ConfigValue value)
        {
            if (value.IsNull)
                throw new ConfigException(name, null, "Value must be non-null");
            // The negated form also rejects NaN.
            if (!(value.AsNumber >= min))
                throw new ConfigException(name, value.ToText(), $"Value must be at least {Text(min)}");
            if (max is not null && !(value.AsNumber <= max))
                throw new ConfigException(name, value.ToText(), $"Value must be no more than {Text(max.Value)}");
        }

        private static string Text(double bound) => bound.ToString(CultureInfo.InvariantCulture);
    }

    private sealed class WordValidator(string[] allowed, bool ignoreCase) : ConfigValidator
    {
        public override string Description => (ignoreCase ? "(case insensitive) " : "") + $"[{string.Join(", ", allowed)}]";

        public override void Validate(string name, ConfigValue value)
        {
            var comparer = ignoreCase ? StringComparer.OrdinalIgnoreCase : StringComparer.Ordinal;
            if (value.IsNull || !allowed.Contains(value.AsString!, comparer))
            {
                throw new ConfigException(
                    name, value.ToText(),
                        $"String must be one of{(ignoreCase ? " (case insensitive)" : "")}: {string.Join(", ", allowed)}");
            }
        }
    }

    private sealed class ListValidator(string[] allowed, bool allowEmpty, bool allowNull) : ConfigValidator
    {
        public override string Description => allowed.Length > 0 ? $"[{string.Join(", ", allowed)}]" : allowEmpty ? "" : "non-empty list";

        internal override bool RemovesDuplicates => true;

        public override void Validate(string name, ConfigValue value)
        {
            if (value.IsNull)
            {
                if (allowNull)
                    return;
                throw new ConfigException($"Configuration '{name}' values must not be null.");
            }

            if (!allowEmpty && value.AsList.Count == 0)
            {
                var valid = allowed.Length == 0 ? "any non-empty value" : Description;
                throw new ConfigException($"Configuration '{name}' must not be empty. Valid values include: {valid}");
            }

            foreach (var item in value.AsList)
            {
                if (item.Length == 0)
                    throw new ConfigException($"Configuration '{name}' values must not be empty.");
                if (allowed.Length > 0 && !allowed.Contains(item, StringComparer.Ordinal))
                    throw new ConfigException(name, item, $"String must be one of: {string.Join(", ", allowed)}");
            }
        }
    }

    /// <summary>A check whose error is a complete sentence.</summary>
    internal static ConfigValidator Sentence(string description, Func<ConfigValue, string?> check) =>
        new SentenceValidator(description, check);

    private sealed class SentenceValidator(string description, Func<ConfigValue, string?> check) : ConfigValidator
    {
        public override string Description => description;

        public override void Validate(string name, ConfigValue value)
        {
            if (check(value) is { } reason)
                throw new ConfigException(reason);
        }
    }

    private sealed class RuleValidator(string description, Func<string, ConfigValue, string?> check, Func<ConfigValue, string?> show)
        : ConfigValidator
    {
        public override string Description => description;

        public override void Validate(string name, ConfigValue value)
        {
            if (check(name, value) is { } reason)
                throw new ConfigException(name, show(value), reason);
        }
    }
}
