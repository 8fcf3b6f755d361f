namespace Ottla.Benchmarks;

/// <summary>
/// Something that makes a measurement impossible or meaningless; the message says what, and the tool goes on or ends with it.
/// </summary>
internal sealed class BenchException : Exception
{
    public BenchException(string message)
        : base(message)
    {
    }

    public BenchException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
