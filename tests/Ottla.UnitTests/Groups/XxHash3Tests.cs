using System.IO.Hashing;

namespace Ottla.UnitTests.Groups;

/// <summary>
/// Hashes that libxxhash 0.8.1 gave for the bytes 3, 10, 17, ...: lengths on both sides of every border of the algorithm.
/// </summary>
public sealed class XxHash3Tests
{
    [Theory]
    [InlineData(0, 0x2D06800538D394C2)]
    [InlineData(1, 0x13E608BC156DEFED)]
    [InlineData(2, 0x1C9074B93943B86C)]
    [InlineData(3, 0xA9088DDA485B481C)]
    [InlineData(4, 0x6D9253B16C8B1ED3)]
    [InlineData(5, 0x998620E10E3A4B37)]
    [InlineData(8, 0x60539DB630471163)]
    [InlineData(9, 0xFEFF668361D723A8)]
    [InlineData(16, 0xB8C859B0F030B585)]
    [InlineData(17, 0x714A04408E79B80F)]
    [InlineData(32, 0x19FF4EE1D6BA1A55)]
    [InlineData(33, 0x3E44983AD21679C8)]
    [InlineData(64, 0x287EB1FA9E4BE2C1)]
    [InlineData(65, 0x829218DE4D798646)]
    [InlineData(96, 0xF084E7CFBC624743)]
    [InlineData(97, 0x1DAA83271A8E7B7C)]
    [InlineData(128, 0x67425A03650261BF)]
    [InlineData(129, 0xC664BF3311C6ABC4)]
    [InlineData(144, 0x606A17FA700BB932)]
    [InlineData(200, 0x746CD0025327BF5B)]
    [InlineData(240, 0x64556DC6B462A6CF)]
    [InlineData(241, 0x8BEADD3A8874FE17)]
    [InlineData(256, 0x3C38817F6D79C0DA)]
    [InlineData(512, 0xF58202B8D9019D1D)]
    [InlineData(1024, 0x9B81661C641C72B1)]
    [InlineData(1025, 0x806C2072ED713576)]
    [InlineData(1088, 0x2F8781E01841F0DA)]
    [InlineData(2048, 0xABE604813BA62ED1)]
    [InlineData(5000, 0x799AADDD7339581D)]
    public void Hashes_as_the_reference_does(int length, ulong expected)
    {
        byte[] input = [.. Enumerable.Range(0, length).Select(i => (byte)((i * 7) + 3))];
        Assert.Equal(expected, XxHash3.HashToUInt64(input));
    }
}
