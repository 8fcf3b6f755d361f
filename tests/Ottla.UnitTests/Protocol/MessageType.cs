using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.UnitTests.Protocol;

/// <summary>A message type found by reflection, with its static members within reach of tests that go through all types.</summary>
public abstract class MessageType
{
    /// <summary>Every message type of the protocol assembly, by name.</summary>
    public static IReadOnlyDictionary<string, MessageType> All { get; } = typeof(IMessage).Assembly.GetTypes()
        .Where(type => type is { IsClass: true, IsAbstract: false }
            && type.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IMessage<>)))
        .OrderBy(type => type.Name, StringComparer.Ordinal)
        .ToDictionary(type => type.Name, type => (MessageType)Activator.CreateInstance(typeof(Of<>).MakeGenericType(type))!);

    /// <summary>The names, for theories.</summary>
    public static TheoryData<string> Names => [.. All.Keys];

    /// <summary>The class.</summary>
    public abstract Type Class { get; }

    public abstract short LowestVersion { get; }

    public abstract short HighestVersion { get; }

    public abstract short LowestFlexibleVersion { get; }

    /// <summary>All its versions.</summary>
    public IEnumerable<short> Versions =>
        Enumerable.Range(LowestVersion, HighestVersion - LowestVersion + 1).Select(version => (short)version);

    /// <summary>Decodes a message.</summary>
    /// <returns>The message; how many bytes it took is in <paramref name="lengthBytes"/>.</returns>
    public abstract IMessage Read(Memory<byte> frame, short version, out int lengthBytes);

    /// <summary>Decodes a message that takes all bytes.</summary>
    public IMessage ReadAll(byte[] frame, short version)
    {
        var message = Read(frame, version, out var length);
        Assert.True(length == frame.Length, $"{Class.Name} v{version}: {frame.Length - length} bytes left over");
        return message;
    }

    /// <summary>A number that is the same for this type in every run: what its random sequences start from.</summary>
    public ulong Seed
    {
        get
        {
            var hash = 14695981039346656037UL;
            foreach (var c in Class.Name)
                hash = (hash ^ c) * 1099511628211UL;
            return hash;
        }
    }

    private sealed class Of<T> : MessageType
        where T : IMessage<T>
    {
        public override Type Class => typeof(T);

        public override short LowestVersion => T.LowestVersion;

        public override short HighestVersion => T.HighestVersion;

        public override short LowestFlexibleVersion => T.LowestFlexibleVersion;

        public override IMessage Read(Memory<byte> frame, short version, out int lengthBytes)
        {
            var reader = new WireReader(frame);
            var message = T.Read(ref reader, version);
            lengthBytes = reader.Position;
            return message;
        }
    }
}
