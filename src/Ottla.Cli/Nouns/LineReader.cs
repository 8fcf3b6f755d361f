namespace Ottla.Cli.Nouns;

/// <summary>Reads lines as bytes. A line is valid until the next one is read; the last one needs no line end. Used by one
/// command.</summary>
/// <param name="input">Where from.</param>
internal sealed class LineReader(Stream input)
{
    private const int InitialBytes = 256 * 1024;

    private byte[] _buffer = new byte[InitialBytes];
    private int _start;
    private int _end;
    private bool _isOver;

    /// <summary>Reads a line, without its end.</summary>
    /// <returns>The line; null at the end.</returns>
    /// <exception cref="IOException">A line is longer than an array can be.</exception>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken cancellation)
    {
        var searched = 0;
        while (true)
        {
            var at = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf((byte)'\n');
            if (at >= 0)
                return Take(searched + at, skipped: 1);
            searched = _end - _start;
            if (_isOver)
                return searched > 0 ? Take(searched, skipped: 0) : (ReadOnlyMemory<byte>?)null;
            MakeRoom();
            var count = await input.ReadAsync(_buffer.AsMemory(_end), cancellation);
            _isOver = count == 0;
            _end += count;
        }
    }

    private ReadOnlyMemory<byte> Take(int length, int skipped)
    {
        var line = _buffer.AsMemory(_start, length);
        _start += length + skipped;
        return line;
    }

    private void MakeRoom()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        if (_end < _buffer.Length)
            return;
        if (_buffer.Length > Array.MaxLength / 2)
            throw new IOException($"A line is longer than {_buffer.Length} bytes.");
        Array.Resize(ref _buffer, _buffer.Length * 2);
    }
}
