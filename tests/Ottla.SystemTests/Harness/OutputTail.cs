using System.Text;

namespace Ottla.SystemTests.Harness;

/// <summary>The last bytes of a stream that has no end in sight. One task reads; any thread may ask for the text.</summary>
public sealed class OutputTail(int bytesMax)
{
    private readonly Lock _lock = new();
    private readonly byte[] _kept = new byte[bytesMax];
    private int _count;

    /// <summary>Reads the stream to its end.</summary>
    public async Task ReadToEndAsync(Stream stream)
    {
        var buffer = new byte[4096];
        int count;
        while ((count = await stream.ReadAsync(buffer)) > 0)
            Append(buffer.AsSpan(0, count));
    }

    /// <summary>The tail as UTF-8 text.</summary>
    public override string ToString()
    {
        lock (_lock)
            return Encoding.UTF8.GetString(_kept, 0, _count);
    }

    /// <summary>Appends a line of text.</summary>
    public void Append(string line) => Append(Encoding.UTF8.GetBytes(line + "\n"));

    private void Append(ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (bytes.Length > _kept.Length)
                bytes = bytes[^_kept.Length..];
            var dropped = Math.Max(0, _count + bytes.Length - _kept.Length);
            _kept.AsSpan(dropped, _count - dropped).CopyTo(_kept);
            _count -= dropped;
            bytes.CopyTo(_kept.AsSpan(_count));
            _count += bytes.Length;
        }
    }
}
