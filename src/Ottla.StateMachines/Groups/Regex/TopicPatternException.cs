namespace Ottla.StateMachines.Groups.Regex;

/// <summary>A text is not a regular expression of RE2, or is one that is too large. The message says why, in RE2's words where it has them.</summary>
public sealed class TopicPatternException(string message) : Exception(message);
