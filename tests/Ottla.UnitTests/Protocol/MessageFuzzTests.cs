using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Wire;
using Ottla.UnitTests.Schemas;

namespace Ottla.UnitTests.Protocol;

/// <summary>Whatever bytes come: a message or a <see cref="ProtocolException"/>, nothing else, and never much memory.</summary>
public sealed class MessageFuzzTests
{
    private const int TruncatedEverywhereBytesMax = 64;
    private const int TruncationsOfLongFrames = 24;
    private const int EmptyElementCount = 500;

    public static TheoryData<string> Messages => MessageType.Names;

    [Theory]
    [MemberData(nameof(Messages))]
    public void Damaged_messages_are_refused_or_understood(string message)
    {
        var type = MessageType.All[message];
        foreach (var vector in GoldenVectors.ByMessage.GetValueOrDefault(message, []))
        {
            var frame = Convert.FromHexString(vector.Hex);
            for (var i = 0; i < FuzzSettings.MutationsPerVector; i++)
            {
                var seed = type.Seed + (ulong)i;
                DecodingGuard.DecodeAndReencode(
                    type, FrameMutator.Mutate(frame, new Prng(seed)), vector.Version, $"{vector.Variant} mutated with seed {seed}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public void Random_bytes_are_refused_or_understood(string message)
    {
        var type = MessageType.All[message];
        foreach (var version in type.Versions)
        {
            for (var i = 0; i < FuzzSettings.RandomFramesPerVersion; i++)
            {
                var seed = type.Seed + (ulong)i;
                DecodingGuard.DecodeAndReencode(type, FrameMutator.Random(new Prng(seed)), version, $"random bytes of seed {seed}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public void Truncated_messages_are_refused(string message)
    {
        var type = MessageType.All[message];
        foreach (var vector in GoldenVectors.ByMessage.GetValueOrDefault(message, []))
        {
            var frame = Convert.FromHexString(vector.Hex);
            var step = frame.Length <= TruncatedEverywhereBytesMax ? 1 : frame.Length / TruncationsOfLongFrames;
            for (var length = 0; length < frame.Length; length += step)
                Assert.True(
                    DecodingGuard.Decode(type, frame.AsSpan(0, length), vector.Version, "truncated") is null,
                    $"{vector.Name}: taken for whole with {length} of {frame.Length} bytes");
        }
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public void What_follows_a_message_is_left_alone(string message)
    {
        var type = MessageType.All[message];
        var prng = new Prng(type.Seed);
        foreach (var vector in GoldenVectors.ByMessage.GetValueOrDefault(message, []))
        {
            var frame = Convert.FromHexString(vector.Hex);
            var garbage = new byte[1 + prng.NextInt(64)];
            prng.NextBytes(garbage);
            var decoded = DecodingGuard.Decode(type, [.. frame, .. garbage], vector.Version, "with garbage behind");
            Assert.True(decoded is not null, $"{vector.Name}: refused because of what follows");
            Assert.Equal(frame.Length, decoded.Value.LengthBytes);
            Assert.Equal(vector.Hex, Convert.ToHexStringLower(WireBuffer.Encode(decoded.Value.Message, vector.Version)));
        }
    }

    /// <summary>The most objects for the fewest bytes: what the limit on allocations is measured by.</summary>
    [Theory]
    [MemberData(nameof(Messages))]
    public void Empty_elements_cost_little(string message)
    {
        var type = MessageType.All[message];
        var schema = SchemaCatalog.ByMessage[message];
        foreach (var version in new[] { type.LowestVersion, type.HighestVersion }.Distinct())
        {
            var builder = new MessageBuilder(schema, version);
            foreach (var owner in schema.Structs)
            {
                foreach (var field in owner.Fields.Where(f => f.IsArray && f.Versions.Low <= version && version <= f.Versions.High))
                {
                    var (root, target) = builder.Reaching(owner);
                    if (target is null)
                        continue;
                    var elements = builder.EmptyElements(target, field, EmptyElementCount);
                    MessageBuilder.Set(target, field, elements);
                    Assert.True(
                        DecodingGuard.DecodeAndReencode(type, WireBuffer.Encode(root, version), version, $"many {field.Name}"),
                        $"{message} v{version} with many {field.Name}");
                    if (!field.IsStruct || version < type.LowestFlexibleVersion)
                        continue;
                    MessageBuilder.SetUnknownTags(elements.GetValue(0)!, [new RawTaggedField(100, [])]); // all of them are the one
                    Assert.True(
                        DecodingGuard.DecodeAndReencode(type, WireBuffer.Encode(root, version), version, $"many tagged {field.Name}"),
                        $"{message} v{version} with many tagged {field.Name}");
                }
            }

            if (version < type.LowestFlexibleVersion)
                continue;
            var (tagged, _) = builder.Reaching(schema.Body);
            MessageBuilder.SetUnknownTags(
                tagged, Enumerable.Range(100, EmptyElementCount).Select(tag => new RawTaggedField((uint)tag, [])).ToList());
            Assert.True(DecodingGuard.DecodeAndReencode(type, WireBuffer.Encode(tagged, version), version, "many unknown tagged fields"));
        }
    }

    [Fact]
    public void Every_message_has_vectors() => Assert.Empty(MessageType.All.Keys.Except(GoldenVectors.ByMessage.Keys));
}
