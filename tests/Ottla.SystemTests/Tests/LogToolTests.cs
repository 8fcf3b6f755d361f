using System.Text;
using System.Text.Json;
using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary><c>ottla log</c> on the directory of a broker that was stopped: what it decodes, what it finds, and what it returns.</summary>
[Trait(Categories.Trait, Categories.Process)]
public sealed class LogToolTests
{
    private const int TransactionIdBytesOffset = 80; // behind the batch's header

    [Fact]
    public async Task TransactionRecordsAreDecodedAndDamageIsFound()
    {
        await using var broker = await BrokerProcess.StartAsync();
        await using (var protocol = new TransactionProtocol(broker.Port, "tx"))
            await protocol.InitializeAsync();
        await broker.TerminateAsync();

        var log = Directory.EnumerateFiles(broker.DataDirectory, "*.log", SearchOption.AllDirectories)
            .Single(file => file.Contains("__transaction_state-", StringComparison.Ordinal) && new FileInfo(file).Length > 0);
        var decoded = Assert.Single(await RunAsync(0, "dump", "--json", log), line => KindOf(line) == "record");
        Assert.Contains("\"transactionalId\":\"tx\"", decoded.GetRawText(), StringComparison.OrdinalIgnoreCase);
        var plain = Assert.Single(
            await RunAsync(0, "dump", "--json", "--records", "--decode", "none", log), line => KindOf(line) == "record");
        Assert.DoesNotContain("transactionalId", plain.GetRawText(), StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(
            await RunAsync(0, "verify", "--json", broker.DataDirectory), line => line.GetProperty("severity").GetString() == "error");

        await using (var file = File.Open(log, FileMode.Open))
        {
            file.Position = TransactionIdBytesOffset;
            var damaged = (byte)(file.ReadByte() ^ 1);
            file.Position = TransactionIdBytesOffset;
            file.WriteByte(damaged);
        }

        var finding = (await RunAsync(1, "verify", "--json", broker.DataDirectory))
            .First(line => line.GetProperty("severity").GetString() == "error");
        Assert.Equal(log, finding.GetProperty("file").GetString());
        Assert.Equal(0, finding.GetProperty("position").GetInt64());
        Assert.Contains("checksum", finding.GetProperty("problem").GetString(), StringComparison.Ordinal);
        Assert.Contains(await RunAsync(1, "dump", "--json", log), line => KindOf(line) == "problem");
    }

    private static string? KindOf(JsonElement line) => line.GetProperty("kind").GetString();

    /// <summary>The objects that the tool prints, one a line.</summary>
    private static async Task<List<JsonElement>> RunAsync(int exitCode, params string[] arguments)
    {
        var result = await ClientTool.RunAsync(RepositoryPaths.BrokerExecutable, ["log", .. arguments], default);
        Assert.True(
            result.ExitCode == exitCode,
            $"{result.CommandLine} ended with {result.ExitCode}: {result.Error}{Encoding.UTF8.GetString(result.Output)}");
        return [.. Encoding.UTF8.GetString(result.Output).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonDocument.Parse(line).RootElement)];
    }
}
