using System.Globalization;
using System.Text;
using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>Many small records through kcat and back, byte by byte the same.</summary>
[Trait(Categories.Trait, Categories.Clients)]
public sealed class KcatMillionLinesTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    private const int LineCount = 1_000_000;

    private static readonly Lazy<byte[]> Lines = new(CreateLines);

    [Theory]
    [ClientCodecs("kcat")]
    public async Task LinesComeBackIdentical(string client, string codec)
    {
        var topic = BrokerFixture.NewTopicName($"{client}-lines-{codec}");
        await ClientCatalog.Kcat.ProduceLinesAsync(fixture.Bootstrap, topic, codec, Lines.Value);
        var read = await ClientCatalog.Kcat.ConsumeLinesAsync(fixture.Bootstrap, topic);
        AssertIdentical(Lines.Value, read);
    }

    private static byte[] CreateLines()
    {
        var lines = new MemoryStream();
        for (var index = 0; index < LineCount; index++)
            lines.Write(
                Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"line {index} {(uint)index * 2654435761u:x8}\n")));
        return lines.ToArray();
    }

    private static void AssertIdentical(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> read)
    {
        var same = expected.CommonPrefixLength(read);
        if (same == expected.Length && same == read.Length)
            return;
        var line = expected[..same].Count((byte)'\n');
        Assert.Fail($"{expected.Length} bytes were produced and {read.Length} read; they differ first in line {line}.");
    }
}
