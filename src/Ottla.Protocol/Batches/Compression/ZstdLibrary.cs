using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>The part of libzstd's stable interface that Ottla uses (1.4 and later).</summary>
internal static unsafe partial class ZstdLibrary
{
    public const int ParameterCompressionLevel = 100;
    public const int ResetSessionOnly = 1;

    private const string Name = "libzstd.so.1";

    public static NativeLibraryProbe Probe { get; } = new(CompressionType.Zstd, Name, "libzstd1");

    [LibraryImport(Name, EntryPoint = "ZSTD_createCCtx")]
    public static partial nint CreateCompressionContext();

    [LibraryImport(Name, EntryPoint = "ZSTD_freeCCtx")]
    public static partial nuint FreeCompressionContext(nint context);

    [LibraryImport(Name, EntryPoint = "ZSTD_sizeof_CCtx")]
    public static partial nuint SizeOfCompressionContext(ZstdCompressionContext context);

    [LibraryImport(Name, EntryPoint = "ZSTD_CCtx_setParameter")]
    public static partial nuint SetParameter(ZstdCompressionContext context, int parameter, int value);

    [LibraryImport(Name, EntryPoint = "ZSTD_compressBound")]
    public static partial nuint CompressBound(nuint sourceSize);

    [LibraryImport(Name, EntryPoint = "ZSTD_compress2")]
    public static partial nuint Compress(
        ZstdCompressionContext context, byte* destination, nuint destinationSize, byte* source, nuint sourceSize);

    [LibraryImport(Name, EntryPoint = "ZSTD_createDCtx")]
    public static partial nint CreateDecompressionContext();

    [LibraryImport(Name, EntryPoint = "ZSTD_freeDCtx")]
    public static partial nuint FreeDecompressionContext(nint context);

    [LibraryImport(Name, EntryPoint = "ZSTD_sizeof_DCtx")]
    public static partial nuint SizeOfDecompressionContext(ZstdDecompressionContext context);

    [LibraryImport(Name, EntryPoint = "ZSTD_DCtx_reset")]
    public static partial nuint ResetDecompression(ZstdDecompressionContext context, int directive);

    [LibraryImport(Name, EntryPoint = "ZSTD_decompressStream")]
    public static partial nuint DecompressStream(ZstdDecompressionContext context, ZstdBuffer* output, ZstdBuffer* input);

    [LibraryImport(Name, EntryPoint = "ZSTD_isError")]
    public static partial uint IsError(nuint result);

    [LibraryImport(Name, EntryPoint = "ZSTD_getErrorName")]
    private static partial byte* GetErrorName(nuint result);

    public static string ErrorName(nuint result) => Marshal.PtrToStringUTF8((nint)GetErrorName(result)) ?? "unknown error";
}

/// <summary>A memory range and the library's position in it: <c>ZSTD_inBuffer</c> and <c>ZSTD_outBuffer</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ZstdBuffer(byte* start, nuint sizeBytes)
{
    public readonly byte* Start = start;
    public readonly nuint SizeBytes = sizeBytes;
    public nuint Position;
}

/// <summary>Owns a <c>ZSTD_CCtx</c>; used by one thread at a time.</summary>
internal sealed class ZstdCompressionContext : SafeHandleZeroOrMinusOneIsInvalid
{
    public ZstdCompressionContext()
        : base(ownsHandle: true) => SetHandle(ZstdLibrary.CreateCompressionContext());

    protected override bool ReleaseHandle() => ZstdLibrary.FreeCompressionContext(handle) == 0;
}

/// <summary>Owns a <c>ZSTD_DCtx</c>; used by one thread at a time.</summary>
internal sealed class ZstdDecompressionContext : SafeHandleZeroOrMinusOneIsInvalid
{
    public ZstdDecompressionContext()
        : base(ownsHandle: true) => SetHandle(ZstdLibrary.CreateDecompressionContext());

    protected override bool ReleaseHandle() => ZstdLibrary.FreeDecompressionContext(handle) == 0;
}
