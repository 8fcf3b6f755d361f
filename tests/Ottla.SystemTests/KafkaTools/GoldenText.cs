using System.Text;
using System.Text.RegularExpressions;

namespace Ottla.SystemTests.KafkaTools;

/// <summary>How a text compares with what Kafka printed.</summary>
public enum Likeness
{
    /// <summary>Line by line the same, but for what is masked.</summary>
    Same,

    /// <summary>The same lines in another order.</summary>
    OtherOrder,

    /// <summary>Different.</summary>
    Different,
}

/// <summary>Compares text with that of Kafka, where masks stand for what varies.</summary>
public static partial class GoldenText
{
    /// <summary>The masks, and what they stand for.</summary>
    private static readonly (string Mask, string Pattern)[] Masks =
    [
        ("<uuid-base64-22-chars>", "[A-Za-z0-9_-]{22}"),
        ("########-####-####-####-############", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        // before the mask of a number, with which it begins as well
        ("console-consumer-########-####-####-####-############", "console-consumer-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("####-##-##T##:##:##.###Z", @"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"),
        ("####-##-## ##:##:##,###", @"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"),
        ("#############", @"\d{13}"),
        ("console-consumer-#####", @"console-consumer-\d+"),
        ("<logger>=<LEVEL>", @"\S+=[A-Z]+"),
        ("<record>", ".*"),
        ("<date>", ".*"),
        ("<host>", @"\S+"),
    ];

    /// <summary>Compares.</summary>
    /// <param name="golden">What Kafka printed, with masks.</param>
    /// <param name="text">What was printed.</param>
    /// <param name="paths">More masks and what they stand for: of directories.</param>
    public static Likeness Compare(string golden, string text, params (string Mask, string Text)[] paths)
    {
        var wanted = Lines(golden);
        var given = Lines(text);
        var cut = wanted.FindLastIndex(line => line.Length > 0);
        if (cut >= 0 && CutMark().IsMatch(wanted[cut]))
        {
            wanted.RemoveRange(cut, wanted.Count - cut);
            given = given[..Math.Min(given.Count, wanted.Count)];
        }

        if (wanted.Count != given.Count)
            return Likeness.Different;
        var patterns = wanted.Select(line => new Regex($"^{PatternOf(line, paths)}$", RegexOptions.Singleline)).ToList();
        if (patterns.Zip(given).All(pair => pair.First.IsMatch(pair.Second)))
            return Likeness.Same;
        foreach (var pattern in patterns)
        {
            var index = given.FindIndex(pattern.IsMatch);
            if (index < 0)
                return Likeness.Different;
            given.RemoveAt(index);
        }

        return Likeness.OtherOrder;
    }

    /// <summary>
    /// The lines; a native program prints no Java stack traces. Where bytes are shown as text, a carriage return ends a line as well: the
    /// recording took it for a line end.
    /// </summary>
    private static List<string> Lines(string text) =>
        [.. text.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n').Split('\n').Where(line => line != "\t<stack trace>")];

    private static string PatternOf(string line, (string Mask, string Text)[] paths)
    {
        var pattern = new StringBuilder();
        for (var at = 0; at < line.Length;)
        {
            if (Array.Find(Masks, mask => string.CompareOrdinal(line, at, mask.Mask, 0, mask.Mask.Length) == 0) is { Mask: not null } mask)
            {
                pattern.Append(mask.Pattern);
                at += mask.Mask.Length;
            }
            else if (Array.Find(paths, path =>
                string.CompareOrdinal(line, at, path.Mask, 0, path.Mask.Length) == 0) is { Mask: not null } path)
            {
                pattern.Append(Regex.Escape(path.Text));
                at += path.Mask.Length;
            }
            else if (line[at] == '#' && !(at + 1 < line.Length && char.IsAsciiLetterUpper(line[at + 1])))
            {
                pattern.Append(@"-?[\d.,:E+-]+");
                for (at++; at < line.Length && line[at] == ' '; at++)
                    pattern.Append(' ').Append('*');
            }
            else
            {
                pattern.Append(Regex.Escape(line[at..(at + 1)]));
                at++;
            }
        }

        return pattern.ToString();
    }

    [GeneratedRegex("^<cut after [0-9]+ lines>$")]
    private static partial Regex CutMark();
}
