using System.Text;
using System.Text.RegularExpressions;
using Ottla.Protocol;
using Ottla.StateMachines.Groups.Regex;

namespace Ottla.StateMachines.Transactions;

/// <summary>
/// A regular expression in RE2's syntax that matches whole transactional ids, in time linear in the length of the id (KIP-1152).
/// </summary>
/// <remarks>
/// Unlike topic names, transactional ids may contain any character. Ids with characters beyond ASCII are matched by .NET's engine. Not
/// thread-safe.
/// </remarks>
public sealed class TransactionalIdPattern
{
    private readonly TopicPattern _ascii;
    private readonly Regex? _unicode;

    private TransactionalIdPattern(string text)
    {
        _ascii = TopicPattern.Parse(text);
        try
        {
            _unicode = new Regex($@"\A(?:{text})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            _unicode = null; // .NET cannot parse a notation of RE2
        }
    }

    /// <summary>Compiles an expression.</summary>
    /// <exception cref="ApiException">INVALID_REGULAR_EXPRESSION: it is not in RE2's syntax, or too large.</exception>
    public static TransactionalIdPattern Parse(string text)
    {
        try
        {
            return new TransactionalIdPattern(text);
        }
        catch (TopicPatternException e)
        {
            throw new ApiException(
                ErrorCode.InvalidRegularExpression, $"Transaction ID pattern `{text}` is not a valid regular expression: {e.Message}.");
        }
    }

    /// <summary>Whether the pattern matches the whole id.</summary>
    public bool Matches(string transactionalId) =>
        Ascii.IsValid(transactionalId) ? _ascii.Matches(transactionalId) : _unicode?.IsMatch(transactionalId) == true;
}
