using System.Text;
using Ottla.Cli.Nouns;

namespace Ottla.UnitTests.Cli.CommandLine;

/// <summary>Lines of input, whatever pieces they come in.</summary>
public sealed class LineReaderTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("a", "a|")]
    [InlineData("a\n", "a|")]
    [InlineData("\n\nb\r\nc", "||b\r|c|")]
    public async Task Lines_end_with_a_line_feed(string input, string expected) => Assert.Equal(expected, await ReadAsync(input, 1));

    [Fact]
    public async Task A_line_may_be_longer_than_the_buffer()
    {
        var line = new string('x', 1_000_000);
        Assert.Equal($"a|{line}|b|", await ReadAsync($"a\n{line}\nb\n", 7_001));
    }

    private static async Task<string> ReadAsync(string input, int pieceBytes)
    {
        await using var stream = new PiecewiseStream(Encoding.UTF8.GetBytes(input), pieceBytes);
        var reader = new LineReader(stream);
        var text = new StringBuilder();
        while (await reader.ReadAsync(CancellationToken.None) is { } line)
            text.Append(Encoding.UTF8.GetString(line.Span)).Append('|');
        return text.ToString();
    }

    /// <summary>Gives as few bytes at a time as a slow pipe.</summary>
    private sealed class PiecewiseStream(byte[] bytes, int pieceBytes) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            new(Read(buffer.Span[..Math.Min(pieceBytes, buffer.Length)]));
    }
}
