using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>
/// What is checked of a block of the Snappy format before it is expanded: a varint of the length, then literals and copies.
/// </summary>
internal static class SnappyBlock
{
    private const int CopyBytesMax = 64;
    private const int NearCopyBytesMin = 4;
    private const int InlineLiteralBytesMax = 60;

    /// <summary>Reads the length that a block says it expands to.</summary>
    /// <returns>
    /// False when there is none, when not even copies alone could make so much of so few bytes, or when the elements do not make as much.
    /// </returns>
    public static bool TryReadLength(ReadOnlySpan<byte> block, out int length)
    {
        var prefixBytes = 0;
        length = 0;
        if (!Varint.TryReadUnsigned(block, ref prefixBytes, out var claimed))
            return false;
        const int middleCopyBytes = 3; // the densest element: 64 bytes out of 3
        if (claimed > (ulong)(block.Length - prefixBytes) * CopyBytesMax / middleCopyBytes)
            return false;
        length = (int)claimed;
        return IsMadeOf(block[prefixBytes..], length);
    }

    /// <summary>
    /// Whether the elements end where the block does, and make exactly as many bytes as it says: Snappier stops at that length, and ignores
    /// the rest, where other readers refuse it.
    /// </summary>
    private static bool IsMadeOf(ReadOnlySpan<byte> elements, int length)
    {
        long made = 0;
        long position = 0;
        while (position < elements.Length)
        {
            var tag = elements[(int)position++];
            long count = (tag >> 2) + 1;
            switch (tag & 3)
            {
                case 0: // a literal; the length of a long one follows in one to four bytes
                    var lengthBytes = (int)Math.Max(count - InlineLiteralBytesMax, 0);
                    if (lengthBytes > elements.Length - position)
                        return false;
                    if (lengthBytes > 0)
                        count = 1;
                    for (var i = 0; i < lengthBytes; i++)
                        count += (long)elements[(int)position++] << (8 * i);
                    position += count;
                    break;
                case 1: // copies, whose offset has one, two or four bytes
                    count = ((tag >> 2) & 7) + NearCopyBytesMin;
                    position++;
                    break;
                case 2:
                    position += sizeof(ushort);
                    break;
                default:
                    position += sizeof(uint);
                    break;
            }

            made += count;
        }

        return position == elements.Length && made == length;
    }
}
