using System.Text;

namespace Ottla.StateMachines.Security;

/// <summary>Names that clients send, made fit for a line of the log.</summary>
public static class LogName
{
    private const int LengthMax = 100;

    /// <summary>The name in quotes, shortened, without control characters.</summary>
    public static string Of(string name)
    {
        var shown = name.Length > LengthMax ? name.AsSpan(0, LengthMax) : name;
        var text = new StringBuilder(LengthMax + 5).Append('\'');
        foreach (var letter in shown)
            text.Append(char.IsControl(letter) || char.IsSurrogate(letter) ? '?' : letter);
        return text.Append(shown.Length < name.Length ? "...'" : "'").ToString();
    }
}
