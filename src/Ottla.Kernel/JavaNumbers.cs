using System.Globalization;

namespace Ottla.Kernel;

/// <summary>Numbers as Java writes them.</summary>
public static class JavaNumbers
{
    /// <summary>
    /// Java's <c>Double.toString</c>: with a digit behind the point, and an exponent from ten million on and below a thousandth.
    /// </summary>
    public static string Of(double number)
    {
        const double plainMax = 1e7;
        const double plainMin = 1e-3;
        if (double.IsNaN(number))
            return "NaN";
        if (double.IsInfinity(number))
            return number > 0 ? "Infinity" : "-Infinity";
        var size = Math.Abs(number);
        if (size == 0 || size is >= plainMin and < plainMax)
        {
            var plain = number.ToString("R", CultureInfo.InvariantCulture);
            return plain.Contains('.') ? plain : $"{plain}.0";
        }

        var scientific = number.ToString("E16", CultureInfo.InvariantCulture);
        var exponent = int.Parse(scientific[(scientific.IndexOf('E') + 1)..], CultureInfo.InvariantCulture);
        var shortest = number.ToString("R", CultureInfo.InvariantCulture);
        var digits = new string([.. shortest.Split('E')[0].Where(char.IsAsciiDigit)]).TrimStart('0').TrimEnd('0');
        return $"{(number < 0 ? "-" : "")}{digits[..1]}.{(digits.Length > 1 ? digits[1..] : "0")}E{exponent}";
    }
}
