using System.Collections.Frozen;
using System.Globalization;

namespace Ottla.Configuration;

// Dynamic values: those that the metadata log holds, and those that a request wants to set.
public sealed partial class BrokerConfig
{
    /// <summary>
    /// Returns the configuration with other dynamic values from the metadata log. Values that cannot be dynamic, do not parse, or
    /// contradict others are ignored with a warning each. Intervals outside their bounds are set to the bound.
    /// </summary>
    public BrokerConfig WithDynamic(IReadOnlyDictionary<string, string> clusterDefault, IReadOnlyDictionary<string, string> perBroker)
    {
        var warnings = new List<string>();
        List<DynamicValue> values =
        [
            .. clusterDefault.Select(pair => new DynamicValue(pair.Key, pair.Value, IsPerBroker: false)),
            .. perBroker.Select(pair => new DynamicValue(pair.Key, pair.Value, IsPerBroker: true)),
        ];
        values = [.. values.Where(value => IsAllowed(value, warnings)).Select(value => Clamp(value, warnings))];
        try
        {
            return Make(values, [.. warnings]);
        }
        catch (ConfigException e)
        {
            return Make(KeepCompatible(values, e.Message, warnings), warnings);
        }
    }

    /// <summary>Returns the configuration with other dynamic values, all of which must be valid.</summary>
    /// <exception cref="ConfigException">A value is invalid, or values contradict each other or the static ones.</exception>
    internal BrokerConfig WithAllDynamic(IReadOnlyDictionary<string, string> clusterDefault, IReadOnlyDictionary<string, string> perBroker)
    {
        foreach (var (name, value) in clusterDefault)
            DynamicConfigRules.CheckBrokerValue(name, value, perBroker: false);
        foreach (var (name, value) in perBroker)
            DynamicConfigRules.CheckBrokerValue(name, value, perBroker: true);
        return new BrokerConfig(
            (FrozenDictionary<string, string>)StaticValues,
            clusterDefault.ToFrozenDictionary(StringComparer.Ordinal),
            perBroker.ToFrozenDictionary(StringComparer.Ordinal),
            []);
    }

    private static bool IsAllowed(DynamicValue value, List<string> warnings)
    {
        try
        {
            DynamicConfigRules.CheckBrokerValue(value.Name, value.Value, value.IsPerBroker);
            return true;
        }
        catch (ConfigException e)
        {
            warnings.Add(LeftOut(value, e.Message));
            return false;
        }
    }

    /// <summary>Limits an interval to its static bounds, which may have changed since it was set.</summary>
    private DynamicValue Clamp(DynamicValue value, List<string> warnings)
    {
        const string suffix = ".assignment.interval.ms";
        if (value.Name is not ("group.consumer" + suffix or "group.share" + suffix or "group.streams" + suffix))
            return value;
        var kind = value.Name[..^suffix.Length];
        var interval = ConfigRegistry.Broker[value.Name].Parse(value.Value).AsInt;
        var clamped = Math.Clamp(interval, Int($"{kind}.min{suffix}"), Math.Max(Int($"{kind}.min{suffix}"), Int($"{kind}.max{suffix}")));
        if (clamped == interval)
            return value;
        warnings.Add(
            $"Dynamic configuration '{value.Name}' is {interval}, outside the bounds of the static configuration. The broker uses "
            + $"{clamped} instead.");
        return value with { Value = clamped.ToString(CultureInfo.InvariantCulture) };
    }

    /// <summary>
    /// Removes values that contradict the others: one value if that is enough, otherwise each value that contradicts those before it.
    /// </summary>
    private List<DynamicValue> KeepCompatible(List<DynamicValue> values, string refusal, List<string> warnings)
    {
        var suspects = values.Where(value => DynamicConfigRules.Definition(value.Name) is not null).ToList(); // the others have no rules
        foreach (var suspect in suspects)
        {
            List<DynamicValue> others = [.. values.Where(value => value != suspect)];
            if (Refusal(others) is not null)
                continue;
            warnings.Add(LeftOut(suspect, refusal));
            return others;
        }

        var kept = values.Except(suspects).ToList();
        bool isProgress;
        do
        {
            var count = kept.Count;
            foreach (var suspect in suspects.ToList())
            {
                if (Refusal([.. kept, suspect]) is not null)
                    continue;
                kept.Add(suspect);
                suspects.Remove(suspect);
            }

            isProgress = kept.Count > count;
        }
        while (isProgress && suspects.Count > 0);

        warnings.AddRange(suspects.Select(suspect => LeftOut(suspect, Refusal([.. kept, suspect])!)));
        return kept;
    }

    /// <summary>Why the values contradict each other; null when they do not.</summary>
    private string? Refusal(List<DynamicValue> values)
    {
        try
        {
            Make(values, []);
            return null;
        }
        catch (ConfigException e)
        {
            return e.Message;
        }
    }

    private BrokerConfig Make(List<DynamicValue> values, List<string> warnings) => new(
        (FrozenDictionary<string, string>)StaticValues,
        values.Where(value => !value.IsPerBroker).ToFrozenDictionary(value => value.Name, value => value.Value, StringComparer.Ordinal),
        values.Where(value => value.IsPerBroker).ToFrozenDictionary(value => value.Name, value => value.Value, StringComparer.Ordinal),
        warnings);

    private static string LeftOut(DynamicValue value, string reason) =>
        $"Dynamic configuration '{value.Name}' of {(value.IsPerBroker ? "this broker" : "the cluster")} is ignored: {reason}";

    private sealed record DynamicValue(string Name, string Value, bool IsPerBroker);
}
