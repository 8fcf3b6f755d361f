using System.Text.RegularExpressions;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Topics;

/// <summary>Which topics an expression of Kafka's tools names: a regular expression for whole names, where a comma means "or".</summary>
internal sealed class TopicPattern
{
    private readonly Regex _pattern;

    /// <param name="text">The expression; quotes and blanks do not count.</param>
    /// <exception cref="ToolException">It is none.</exception>
    public TopicPattern(string text)
    {
        var pattern = text.Trim().Replace(',', '|').Replace(" ", "", StringComparison.Ordinal).Trim('"', '\'');
        try
        {
            _pattern = new Regex($"^(?:{pattern})\\z", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
        }
        catch (ArgumentException)
        {
            throw new ToolException($"{pattern} is an invalid regex.");
        }
    }

    /// <summary>Whether a topic is named.</summary>
    /// <param name="topic">The topic.</param>
    /// <param name="excludesInternal">Whether topics of the cluster itself are left out.</param>
    public bool Matches(string topic, bool excludesInternal) =>
        _pattern.IsMatch(topic) && !(excludesInternal && TopicNames.IsInternal(topic));
}
