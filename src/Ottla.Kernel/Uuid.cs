using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Runtime.InteropServices;

namespace Ottla.Kernel;

/// <summary>
/// Kafka's UUID: 16 bytes, written as 22 characters of unpadded URL-safe base64. Names topics, clusters, log directories and incarnations.
/// </summary>
/// <param name="High">The most significant 64 bits.</param>
/// <param name="Low">The least significant 64 bits.</param>
public readonly partial record struct Uuid(ulong High, ulong Low) : IComparable<Uuid>
{
    /// <summary>Bytes of a UUID on the wire.</summary>
    public const int SizeBytes = 16;

    private const int TextLength = 22;

    /// <summary>All zeroes: no UUID. As a directory id it marks a replica whose directory is not known yet (KIP-858).</summary>
    public static readonly Uuid Zero = new(0, 0);

    /// <summary>
    /// The topic id of <c>__cluster_metadata</c>, and as a directory id (KIP-858): a replica not yet assigned to a directory.
    /// </summary>
    public static readonly Uuid One = new(0, 1);

    /// <summary>
    /// Makes a random (version 4) UUID. Like Kafka it avoids reserved values and a leading '-', which command lines take for an option.
    /// </summary>
    public static Uuid NewRandom()
    {
        Span<byte> bytes = stackalloc byte[SizeBytes];
        while (true)
        {
            FillRandom(bytes);
            if (FromRandomBits(bytes) is { } uuid)
                return uuid;
        }
    }

    /// <summary>
    /// Random bytes of the operating system, without a start of the cryptography library, nor a /dev/urandom, which an empty root does not
    /// have.
    /// </summary>
    private static unsafe void FillRandom(Span<byte> bytes)
    {
        if (OperatingSystem.IsLinux())
        {
            fixed (byte* start = bytes)
            {
                if (GetRandom(start, bytes.Length, 0) == bytes.Length)
                    return;
            }
        }

        Guid.NewGuid().TryWriteBytes(bytes, bigEndian: true, out _);
    }

    [LibraryImport("libc", EntryPoint = "getrandom")]
    private static unsafe partial nint GetRandom(byte* bytes, nint count, uint flags);

    /// <summary>As <see cref="NewRandom()"/>, from a seeded generator.</summary>
    public static Uuid NewRandom(Prng prng)
    {
        Span<byte> bytes = stackalloc byte[SizeBytes];
        while (true)
        {
            prng.NextBytes(bytes);
            if (FromRandomBits(bytes) is { } uuid)
                return uuid;
        }
    }

    /// <summary>Reads the 16 big-endian bytes of the wire.</summary>
    public static Uuid Read(ReadOnlySpan<byte> source) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(source), BinaryPrimitives.ReadUInt64BigEndian(source[8..]));

    /// <summary>Writes the 16 big-endian bytes of the wire.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, High);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Low);
    }

    /// <summary>Parses the text form; false when it is not unpadded URL-safe base64 of exactly 16 bytes.</summary>
    public static bool TryParse(string? text, out Uuid uuid)
    {
        uuid = Zero;
        if (text?.Length != TextLength)
            return false;
        Span<byte> bytes = stackalloc byte[SizeBytes];
        if (Base64Url.DecodeFromChars(text, bytes, out _, out var written) != OperationStatus.Done || written != SizeBytes)
            return false;
        uuid = Read(bytes);
        return true;
    }

    /// <summary>Parses the text form.</summary>
    /// <exception cref="FormatException">The text is not a UUID.</exception>
    public static Uuid Parse(string text) =>
        TryParse(text, out var uuid)
            ? uuid
            : throw new FormatException($"'{text}' is not a UUID: 22 characters of URL-safe base64 are expected.");

    /// <inheritdoc/>
    public int CompareTo(Uuid other) => High != other.High ? High.CompareTo(other.High) : Low.CompareTo(other.Low);

    /// <summary>The 22 character text form.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[SizeBytes];
        Write(bytes);
        return Base64Url.EncodeToString(bytes);
    }

    /// <summary>Marks 16 random bytes as a version 4 UUID; null when the result is reserved or starts with '-'.</summary>
    private static Uuid? FromRandomBits(Span<byte> bytes)
    {
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x40);
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        var uuid = Read(bytes);
        const byte firstByteOfLeadingDash = 0xF8; // six bits that base64 writes as '-'
        var isReserved = uuid.High == 0 && uuid.Low < 100;
        return isReserved || (bytes[0] & 0xFC) == firstByteOfLeadingDash ? null : uuid;
    }

    public static bool operator <(Uuid left, Uuid right) => left.CompareTo(right) < 0;

    public static bool operator >(Uuid left, Uuid right) => left.CompareTo(right) > 0;

    public static bool operator <=(Uuid left, Uuid right) => left.CompareTo(right) <= 0;

    public static bool operator >=(Uuid left, Uuid right) => left.CompareTo(right) >= 0;
}
