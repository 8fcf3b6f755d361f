using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Ottla.Kernel;

/// <summary>
/// Checks conditions that only a bug in Ottla can break. The checks stay on in release builds: a broken invariant throws before it can
/// corrupt data.
/// </summary>
public static class Invariant
{
    /// <summary>Throws <see cref="InvariantViolationException"/> when <paramref name="condition"/> is false.</summary>
    /// <param name="condition">The condition that must hold.</param>
    /// <param name="message">Why the condition must hold; the exception shows it with the condition's source text.</param>
    /// <param name="expression">Filled in by the compiler.</param>
    public static void Check(
        [DoesNotReturnIf(false)] bool condition, string message, [CallerArgumentExpression(nameof(condition))] string expression = "")
    {
        if (!condition)
            Throw(message, expression);
    }

    [DoesNotReturn]
    private static void Throw(string message, string expression) =>
        throw new InvariantViolationException($"{message} (violated: {expression})");
}

/// <summary>A condition that must always hold is false: a bug in Ottla.</summary>
public sealed class InvariantViolationException(string message) : Exception(message);
