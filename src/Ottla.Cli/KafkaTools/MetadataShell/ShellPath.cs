using System.Text;
using System.Text.RegularExpressions;

namespace Ottla.Cli.KafkaTools.MetadataShell;

/// <summary>A node that a pattern means.</summary>
/// <param name="Path">The names from the root to it; empty for the root.</param>
/// <param name="Node">The node.</param>
internal readonly record struct ShellMatch(IReadOnlyList<string> Path, MetadataNode Node)
{
    /// <summary>Its name; <c>/</c> for the root.</summary>
    public string Name => Path.Count == 0 ? "/" : Path[^1];
}

/// <summary>
/// Paths of the shell, with <c>.</c>, <c>..</c> and patterns: <c>*</c>, <c>?</c> and <c>{a,b}</c> in a name; a backslash takes the meaning
/// from what follows.
/// </summary>
internal static class ShellPath
{
    private const string Special = @"$()+.[]^{|}*?\";

    private static readonly TimeSpan MatchTimeout = TimeSpan.FromSeconds(1);

    /// <summary>The names of a path from the root on.</summary>
    /// <param name="path">The path, absolute or from the working directory.</param>
    /// <param name="workingDirectory">The working directory.</param>
    public static IReadOnlyList<string> Split(string path, string workingDirectory)
    {
        var names = new List<string>();
        foreach (var name in (path.StartsWith('/') ? path : $"{workingDirectory}/{path}").Split(
            '/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (name == "..")
                names.RemoveRange(Math.Max(0, names.Count - 1), Math.Min(1, names.Count));
            else if (name != ".")
                names.Add(name);
        }

        return names;
    }

    /// <summary>The nodes that a path means, in the order of their names.</summary>
    public static IEnumerable<ShellMatch> Find(MetadataNode root, IReadOnlyList<string> path) => Find(new ShellMatch([], root), path);

    private static IEnumerable<ShellMatch> Find(ShellMatch from, IReadOnlyList<string> path)
    {
        if (from.Path.Count == path.Count)
            return [from];
        var wanted = path[from.Path.Count];
        if (ToExpression(wanted) is not { } expression)
        {
            return from.Node.Children.TryGetValue(wanted, out var child)
                ? Find(new ShellMatch([.. from.Path, wanted], child), path) : [];
        }

        var pattern = new Regex(expression, RegexOptions.CultureInvariant | RegexOptions.Singleline, MatchTimeout);
        return from.Node.Children.Where(each => pattern.IsMatch(each.Key)).SelectMany(
            each => Find(new ShellMatch([.. from.Path, each.Key], each.Value), path));
    }

    /// <summary>The regular expression of a name with patterns; null for a name that means only itself.</summary>
    private static string? ToExpression(string name)
    {
        var expression = new StringBuilder("^");
        var (isPattern, isGroup) = (false, false);
        for (var i = 0; i < name.Length; i++)
        {
            var c = name[i];
            isPattern |= c is '*' or '?' or '{';
            switch (c)
            {
                case '*' or '?':
                    expression.Append(c == '*' ? ".*" : ".");
                    break;
                case '\\' when i + 1 < name.Length:
                    expression.Append(Escaped(name[++i]));
                    break;
                case '{' when isGroup:
                    return null;
                case '{':
                    expression.Append("(?:(?:");
                    isGroup = true;
                    break;
                case ',' when isGroup:
                    expression.Append(")|(?:");
                    break;
                case '}' when isGroup:
                    expression.Append("))");
                    isGroup = false;
                    break;
                default:
                    expression.Append(Escaped(c));
                    break;
            }
        }

        return isPattern && !isGroup ? expression.Append('$').ToString() : null;
    }

    private static string Escaped(char c) => Special.Contains(c) ? $@"\{c}" : $"{c}";
}
