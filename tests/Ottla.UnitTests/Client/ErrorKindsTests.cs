using Ottla.Client.Calls;
using Ottla.Protocol;

namespace Ottla.UnitTests.Client;

/// <summary>Kinds of errors, as the Java client has them (tests/golden/client/errors.tsv).</summary>
public sealed class ErrorKindsTests
{
    [Fact]
    public void Kinds_and_names_are_those_of_the_Java_client()
    {
        var lines = File.ReadLines(GoldenData.Path("client/errors.tsv")).Skip(1).Select(line => line.Split('\t')).ToList();
        Assert.Equal(137, lines.Count);
        foreach (var cells in lines)
        {
            var error = (ErrorCode)short.Parse(cells[0]);
            Assert.Equal(cells[1], error.ToKafkaName());
            var kinds = cells[3].Split(' ');
            Assert.True(kinds.Contains("RetriableException") == ErrorKinds.IsRetriable(error), cells[1]);
            Assert.True(kinds.Contains("InvalidMetadataException") == ErrorKinds.InvalidatesMetadata(error), cells[1]);
        }
    }
}
