using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>The part of liblz4's frame interface that Ottla uses (1.8.3 and later).</summary>
internal static unsafe partial class Lz4Library
{
    public const uint FrameVersion = 100;

    private const string Name = "liblz4.so.1";

    public static NativeLibraryProbe Probe { get; } = new(CompressionType.Lz4, Name, "liblz4-1");

    [LibraryImport(Name, EntryPoint = "LZ4F_compressFrameBound")]
    public static partial nuint CompressFrameBound(nuint sourceSize, Lz4Preferences* preferences);

    [LibraryImport(Name, EntryPoint = "LZ4F_compressFrame")]
    public static partial nuint CompressFrame(
        byte* destination, nuint destinationSize, byte* source, nuint sourceSize, Lz4Preferences* preferences);

    [LibraryImport(Name, EntryPoint = "LZ4F_createDecompressionContext")]
    public static partial nuint CreateDecompressionContext(out nint context, uint version);

    [LibraryImport(Name, EntryPoint = "LZ4F_freeDecompressionContext")]
    public static partial nuint FreeDecompressionContext(nint context);

    [LibraryImport(Name, EntryPoint = "LZ4F_resetDecompressionContext")]
    public static partial void ResetDecompression(Lz4DecompressionContext context);

    [LibraryImport(Name, EntryPoint = "LZ4F_decompress")]
    public static partial nuint Decompress(
        Lz4DecompressionContext context, byte* destination, nuint* destinationSize, byte* source, nuint* sourceSize, void* options);

    [LibraryImport(Name, EntryPoint = "LZ4F_isError")]
    public static partial uint IsError(nuint result);

    [LibraryImport(Name, EntryPoint = "LZ4F_getErrorName")]
    private static partial byte* GetErrorName(nuint result);

    public static string ErrorName(nuint result) => Marshal.PtrToStringUTF8((nint)GetErrorName(result)) ?? "unknown error";
}

/// <summary><c>LZ4F_preferences_t</c>, with <c>LZ4F_frameInfo_t</c> at its start.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Lz4Preferences
{
    /// <summary>Blocks of 64 KiB.</summary>
    public const int BlockSize64KiB = 4;

    /// <summary>No block refers to another one: the only mode that Kafka's readers support.</summary>
    public const int BlocksIndependent = 1;

    public int BlockSizeId;
    public int BlockMode;
    public int ContentChecksumFlag;
    public int FrameType;
    public ulong ContentSize;
    public uint DictionaryId;
    public int BlockChecksumFlag;
    public int CompressionLevel;
    public uint AutoFlush;
    public uint FavorDecompressionSpeed;
    private readonly uint _reserved0;
    private readonly uint _reserved1;
    private readonly uint _reserved2;
}

/// <summary>Owns an <c>LZ4F_dctx</c>; used by one thread at a time.</summary>
internal sealed class Lz4DecompressionContext : SafeHandleZeroOrMinusOneIsInvalid
{
    public Lz4DecompressionContext()
        : base(ownsHandle: true)
    {
        var result = Lz4Library.CreateDecompressionContext(out var context, Lz4Library.FrameVersion);
        if (Lz4Library.IsError(result) != 0)
            throw new InvalidOperationException($"lz4 cannot create a decompression context: {Lz4Library.ErrorName(result)}");
        SetHandle(context);
    }

    protected override bool ReleaseHandle() => Lz4Library.IsError(Lz4Library.FreeDecompressionContext(handle)) == 0;
}
