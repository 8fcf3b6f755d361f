using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Ottla.Kernel;

/// <summary>Checks of what must always hold. They stay on in release builds: a broken invariant stops the work, it never corrupts.</summary>
public static class Invariant
{
    /// <summary>Throws <see cref="InvariantViolationException"/> when <paramref name="condition"/> is false.</summary>
    /// <param name="condition">What must hold.</param>
    /// <param name="message">Why it must hold; shown with the condition's own text.</param>
    /// <param name="expression">Filled in by the compiler.</param>
    public static void Check([DoesNotReturnIf(false)] bool condition, string message, [CallerArgumentExpression(nameof(condition))] string expression = "")
    {
        if (!condition)
            Throw(message, expression);
    }

    [DoesNotReturn]
    private static void Throw(string message, string expression) => throw new InvariantViolationException($"{message} (violated: {expression})");
}

/// <summary>A bug in Ottla itself: something that must always hold did not.</summary>
public sealed class InvariantViolationException(string message) : Exception(message);
