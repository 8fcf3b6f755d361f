using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using Ottla.Cli.Doctor;

namespace Ottla.UnitTests.Cli.CommandLine;

/// <summary>What <c>ottla doctor</c> collects has no secret in it.</summary>
public sealed class DoctorTests
{
    private const string Secret = "hunter22";

    [Theory]
    [InlineData("sasl.password=hunter22\nlinger.ms=5", "linger.ms=5")]
    [InlineData("OTTLA_CLIENT_SASL_PASSWORD=hunter22 rest", "rest")]
    [InlineData("sasl.jaas.config=org.apache.kafka.X required username=\"u\" password=\"hunter22\";\nnext", "next")]
    [InlineData("ssl.keystore.password: 'hunter22' kept", "kept")]
    [InlineData("{\"password\":\"hunter22\",\"topic\":\"orders\"}", "orders")]
    [InlineData("-----BEGIN PRIVATE KEY-----\nhunter22\n-----END PRIVATE KEY-----\nafter", "after")]
    [InlineData("hmac = hunter22\nowner = a", "owner = a")]
    public void What_sounds_like_a_secret_is_hidden(string text, string kept)
    {
        var clean = new Redaction().Clean(text);
        Assert.DoesNotContain(Secret, clean, StringComparison.Ordinal);
        Assert.Contains(kept, clean, StringComparison.Ordinal);
    }

    [Fact]
    public void A_secret_that_is_known_is_hidden_wherever_it_is()
    {
        var redaction = new Redaction();
        redaction.Learn(
            [new("sasl.jaas.config", $"org.apache.kafka.X required username=\"u\" password=\"{Secret}\";"), new("retries", "3")]);
        Assert.Equal("WARN: login of u with [hidden] failed 3 times", redaction.Clean($"WARN: login of u with {Secret} failed 3 times"));
    }

    [Fact]
    public void An_archive_has_what_was_added_without_secrets_and_what_is_missing()
    {
        using var bytes = new MemoryStream();
        var redaction = new Redaction();
        redaction.Learn([new("sasl.password", Secret)]);
        using (var bundle = new Bundle(bytes, redaction, DateTimeOffset.UnixEpoch))
        {
            bundle.Add("log.txt", $"before {Secret} after");
            bundle.Fail("metrics.txt", $"refused {Secret}");
        }

        using var archive = new TarReader(new GZipStream(new MemoryStream(bytes.ToArray()), CompressionMode.Decompress));
        var files = new Dictionary<string, string>();
        while (archive.GetNextEntry() is { } entry)
        {
            using var reader = new StreamReader(entry.DataStream!, Encoding.UTF8);
            files[entry.Name] = reader.ReadToEnd();
        }

        Assert.Equal("before [hidden] after", files["ottla-doctor/log.txt"]);
        Assert.Equal("metrics.txt: refused [hidden]\n", files["ottla-doctor/missing.txt"]);
    }
}
