using System.Text.RegularExpressions;
using Ottla.Cli.Framework;

namespace Ottla.Cli.Doctor;

/// <summary>
/// Takes secrets out of texts: the values that are known, wherever they are, and what stands behind a name that sounds like a secret.
/// </summary>
internal sealed partial class Redaction
{
    /// <summary>A shorter value would take half of every text with it; those are found by their names only.</summary>
    private const int KnownCharsMin = 4;

    private readonly HashSet<string> _known = [];

    /// <summary>Learns the secrets of some properties, and the single ones inside of a login (<c>password="..."</c>).</summary>
    public void Learn(IEnumerable<KeyValuePair<string, string>> properties)
    {
        foreach (var (name, value) in properties)
        {
            if (!Secrets.IsSecret(name))
                continue;
            Add(value);
            foreach (Match match in Assignment().Matches(value))
                Add(match.Groups["value"].Value.Trim('"', '\'', ';'));
        }
    }

    /// <summary>A text without secrets.</summary>
    public string Clean(string text)
    {
        foreach (var secret in _known.OrderByDescending(each => each.Length))
            text = text.Replace(secret, Secrets.Hidden, StringComparison.Ordinal);
        text = PrivateKey().Replace(text, Secrets.Hidden);
        return Assignment().Replace(text, match => $"{match.Groups["name"].Value}{match.Groups["sign"].Value}{Secrets.Hidden}");
    }

    private void Add(string value)
    {
        if (value.Length >= KnownCharsMin)
            _known.Add(value);
    }

    [GeneratedRegex(
        """(?<name>[\w.\-]*(password|passphrase|secret|jaas\.config|token|hmac|credential|keystore\.key|private\.key)[\w.\-]*)"""
            + """(?<sign>["']?\s*[=:]\s*)(?<value>"[^"\n]*"|'[^'\n]*'|org\.apache[^\n]*|[^\s,;"']+)""",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Assignment();

    [GeneratedRegex("-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", RegexOptions.Singleline)]
    private static partial Regex PrivateKey();
}
