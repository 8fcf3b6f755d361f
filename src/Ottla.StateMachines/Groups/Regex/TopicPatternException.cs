namespace Ottla.StateMachines.Groups.Regex;

/// <summary>
/// A text is not a valid RE2 expression, or the expression is too large. The message uses RE2's words where RE2 has a message.
/// </summary>
public sealed class TopicPatternException(string message) : Exception(message);
