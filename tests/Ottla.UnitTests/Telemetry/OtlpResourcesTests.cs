using Ottla.Broker.Telemetry;
using Ottla.Kernel;
using Ottla.UnitTests.Client.Push;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Telemetry;

/// <summary>Labels that a broker adds to what a client pushed.</summary>
public sealed class OtlpResourcesTests
{
    private static readonly KeyValuePair<string, string>[] Labels = [new("client_id", "app"), new("broker_id", "1")];

    [Fact]
    public void Every_resource_of_a_push_of_the_Java_client_gets_the_labels_and_nothing_else_changes()
    {
        var pushed = JavaPush();
        var before = OtlpMetricsReader.Read(pushed);
        var after = OtlpMetricsReader.Read(OtlpResources.WithLabels(pushed, Labels));
        Assert.NotEmpty(before);
        Assert.Equal(
            before.Select(each => (each.Name, each.Value, each.TimeNs)), after.Select(each => (each.Name, each.Value, each.TimeNs)));
        foreach (var (old, changed) in before.Zip(after))
        {
            Assert.Equal(("app", "1"), (changed.Resource["client_id"], changed.Resource["broker_id"]));
            Assert.Equal(old.Resource.Count + Labels.Length, changed.Resource.Count);
        }
    }

    [Fact]
    public void Several_messages_behind_one_another_are_one()
    {
        var labeled = OtlpResources.WithLabels(JavaPush(), Labels);
        Assert.Equal(2 * OtlpMetricsReader.Read(labeled).Count, OtlpMetricsReader.Read([.. labeled, .. labeled]).Count);
    }

    [Fact]
    public void What_is_cut_off_or_garbage_is_refused_or_copied_and_never_anything_else()
    {
        var pushed = JavaPush();
        var whole = 0;
        for (var length = 1; length < pushed.Length; length++)
        {
            if (!IsRefused(pushed.AsSpan(0, length)))
                Assert.Equal(++whole, OtlpMetricsReader.Fields(pushed[..length]).Count); // it ends between two resources
        }

        Assert.Equal(OtlpMetricsReader.Fields(pushed).Count - 1, whole);
        var random = new Prng(17);
        var garbage = new byte[64];
        var refused = 0;
        for (var i = 0; i < 2000; i++)
        {
            random.NextBytes(garbage);
            refused += IsRefused(garbage) ? 1 : 0;
        }

        Assert.InRange(refused, 1900, 2000);
    }

    private static bool IsRefused(ReadOnlySpan<byte> message)
    {
        try
        {
            OtlpResources.WithLabels(message, Labels);
            return false;
        }
        catch (InvalidDataException)
        {
            return true;
        }
    }

    private static byte[] JavaPush()
    {
        var text = File.ReadAllText(RepositoryFiles.Path("tests/golden/metrics/java-consumer-push.base64"));
        return Convert.FromBase64String(text.ReplaceLineEndings(""));
    }
}
