using System.Globalization;
using System.Runtime.CompilerServices;

namespace Ottla.Simulator;

/// <summary>What an invariant wants, as text: put together only when it does not hold.</summary>
[InterpolatedStringHandler]
internal ref struct FailureText
{
    private DefaultInterpolatedStringHandler _text;

    /// <summary>Called by the compiler.</summary>
    /// <param name="literalLength">How many characters are literal.</param>
    /// <param name="formattedCount">How many values there are between them.</param>
    /// <param name="holds">Whether the invariant holds.</param>
    /// <param name="isWanted">Whether anybody will read the text.</param>
    public FailureText(int literalLength, int formattedCount, bool holds, out bool isWanted)
    {
        isWanted = !holds;
        _text = isWanted ? new DefaultInterpolatedStringHandler(literalLength, formattedCount, CultureInfo.InvariantCulture) : default;
    }

    public void AppendLiteral(string value) => _text.AppendLiteral(value);

    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    /// <summary>The text.</summary>
    public string Take() => _text.ToStringAndClear();
}
