using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using ZstdSharp.Unsafe;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>
/// The part of zstd's stable interface that Ottla uses (1.4 and later). The system's library has it, and so has the port of that library to
/// managed code. Stateless.
/// </summary>
internal abstract unsafe partial class ZstdLibrary
{
    private const int ParameterCompressionLevel = 100;
    private const int ResetSessionOnly = 1;

    /// <summary>The port, which needs nothing installed.</summary>
    public static ZstdLibrary Managed { get; } = new ManagedZstd();

    /// <summary>The system's library; null where it is not installed.</summary>
    public static ZstdLibrary? Native { get; } = NativeZstd.TryLoad();

    public abstract nint CreateCompressionContext();

    public abstract void FreeCompressionContext(nint context);

    public abstract nuint SizeOfCompressionContext(ZstdCompressionContext context);

    public abstract nuint SetCompressionLevel(ZstdCompressionContext context, int level);

    public abstract nuint CompressBound(nuint sourceBytes);

    public abstract nuint Compress(
        ZstdCompressionContext context, byte* destination, nuint destinationBytes, byte* source, nuint sourceBytes);

    public abstract nint CreateDecompressionContext();

    public abstract void FreeDecompressionContext(nint context);

    public abstract nuint SizeOfDecompressionContext(ZstdDecompressionContext context);

    /// <summary>Makes a context ready for the next frame.</summary>
    public abstract nuint ResetDecompression(ZstdDecompressionContext context);

    public abstract nuint DecompressStream(ZstdDecompressionContext context, ZstdBuffer* output, ZstdBuffer* input);

    public abstract bool IsError(nuint result);

    public abstract string ErrorName(nuint result);

    private sealed class ManagedZstd : ZstdLibrary
    {
        public override nint CreateCompressionContext() => (nint)Methods.ZSTD_createCCtx();

        public override void FreeCompressionContext(nint context) => Methods.ZSTD_freeCCtx((ZSTD_CCtx_s*)context);

        public override nuint SizeOfCompressionContext(ZstdCompressionContext context)
        {
            var size = Methods.ZSTD_sizeof_CCtx((ZSTD_CCtx_s*)context.DangerousGetHandle());
            GC.KeepAlive(context);
            return size;
        }

        public override nuint SetCompressionLevel(ZstdCompressionContext context, int level)
        {
            var result = Methods.ZSTD_CCtx_setParameter(
                (ZSTD_CCtx_s*)context.DangerousGetHandle(), (ZSTD_cParameter)ParameterCompressionLevel, level);
            GC.KeepAlive(context);
            return result;
        }

        public override nuint CompressBound(nuint sourceBytes) => Methods.ZSTD_compressBound(sourceBytes);

        public override nuint Compress(
            ZstdCompressionContext context, byte* destination, nuint destinationBytes, byte* source, nuint sourceBytes)
        {
            var result = Methods.ZSTD_compress2(
                (ZSTD_CCtx_s*)context.DangerousGetHandle(), destination, destinationBytes, source, sourceBytes);
            GC.KeepAlive(context);
            return result;
        }

        public override nint CreateDecompressionContext() => (nint)Methods.ZSTD_createDCtx();

        public override void FreeDecompressionContext(nint context) => Methods.ZSTD_freeDCtx((ZSTD_DCtx_s*)context);

        public override nuint SizeOfDecompressionContext(ZstdDecompressionContext context)
        {
            var size = Methods.ZSTD_sizeof_DCtx((ZSTD_DCtx_s*)context.DangerousGetHandle());
            GC.KeepAlive(context);
            return size;
        }

        public override nuint ResetDecompression(ZstdDecompressionContext context)
        {
            var result = Methods.ZSTD_DCtx_reset((ZSTD_DCtx_s*)context.DangerousGetHandle(), (ZSTD_ResetDirective)ResetSessionOnly);
            GC.KeepAlive(context);
            return result;
        }

        public override nuint DecompressStream(ZstdDecompressionContext context, ZstdBuffer* output, ZstdBuffer* input)
        {
            var result = Methods.ZSTD_decompressStream(
                (ZSTD_DCtx_s*)context.DangerousGetHandle(), (ZSTD_outBuffer_s*)output, (ZSTD_inBuffer_s*)input);
            GC.KeepAlive(context);
            return result;
        }

        public override bool IsError(nuint result) => Methods.ZSTD_isError(result);

        public override string ErrorName(nuint result) => Methods.ZSTD_getErrorName(result);
    }

    private sealed partial class NativeZstd : ZstdLibrary
    {
        private const string Name = "libzstd.so.1";

        public static NativeZstd? TryLoad() =>
            NativeCodecLibrary.TryLoad(
                Name,
                "ZSTD_createCCtx", "ZSTD_freeCCtx", "ZSTD_sizeof_CCtx", "ZSTD_CCtx_setParameter", "ZSTD_compressBound", "ZSTD_compress2",
                "ZSTD_createDCtx", "ZSTD_freeDCtx", "ZSTD_sizeof_DCtx", "ZSTD_DCtx_reset", "ZSTD_decompressStream",
                "ZSTD_isError", "ZSTD_getErrorName")
                ? new NativeZstd()
                : null;

        public override nint CreateCompressionContext() => CreateCCtx();

        public override void FreeCompressionContext(nint context) => FreeCCtx(context);

        public override nuint SizeOfCompressionContext(ZstdCompressionContext context) => SizeOfCCtx(context);

        public override nuint SetCompressionLevel(ZstdCompressionContext context, int level) =>
            SetParameter(context, ParameterCompressionLevel, level);

        public override nuint CompressBound(nuint sourceBytes) => GetCompressBound(sourceBytes);

        public override nuint Compress(
            ZstdCompressionContext context, byte* destination, nuint destinationBytes, byte* source, nuint sourceBytes) =>
            Compress2(context, destination, destinationBytes, source, sourceBytes);

        public override nint CreateDecompressionContext() => CreateDCtx();

        public override void FreeDecompressionContext(nint context) => FreeDCtx(context);

        public override nuint SizeOfDecompressionContext(ZstdDecompressionContext context) => SizeOfDCtx(context);

        public override nuint ResetDecompression(ZstdDecompressionContext context) => ResetDCtx(context, ResetSessionOnly);

        public override nuint DecompressStream(ZstdDecompressionContext context, ZstdBuffer* output, ZstdBuffer* input) =>
            Decompress(context, output, input);

        public override bool IsError(nuint result) => GetIsError(result) != 0;

        public override string ErrorName(nuint result) => Marshal.PtrToStringUTF8((nint)GetErrorName(result)) ?? "unknown error";

        [LibraryImport(Name, EntryPoint = "ZSTD_createCCtx")]
        private static partial nint CreateCCtx();

        [LibraryImport(Name, EntryPoint = "ZSTD_freeCCtx")]
        private static partial nuint FreeCCtx(nint context);

        [LibraryImport(Name, EntryPoint = "ZSTD_sizeof_CCtx")]
        private static partial nuint SizeOfCCtx(ZstdCompressionContext context);

        [LibraryImport(Name, EntryPoint = "ZSTD_CCtx_setParameter")]
        private static partial nuint SetParameter(ZstdCompressionContext context, int parameter, int value);

        [LibraryImport(Name, EntryPoint = "ZSTD_compressBound")]
        private static partial nuint GetCompressBound(nuint sourceSize);

        [LibraryImport(Name, EntryPoint = "ZSTD_compress2")]
        private static partial nuint Compress2(
            ZstdCompressionContext context, byte* destination, nuint destinationSize, byte* source, nuint sourceSize);

        [LibraryImport(Name, EntryPoint = "ZSTD_createDCtx")]
        private static partial nint CreateDCtx();

        [LibraryImport(Name, EntryPoint = "ZSTD_freeDCtx")]
        private static partial nuint FreeDCtx(nint context);

        [LibraryImport(Name, EntryPoint = "ZSTD_sizeof_DCtx")]
        private static partial nuint SizeOfDCtx(ZstdDecompressionContext context);

        [LibraryImport(Name, EntryPoint = "ZSTD_DCtx_reset")]
        private static partial nuint ResetDCtx(ZstdDecompressionContext context, int directive);

        [LibraryImport(Name, EntryPoint = "ZSTD_decompressStream")]
        private static partial nuint Decompress(ZstdDecompressionContext context, ZstdBuffer* output, ZstdBuffer* input);

        [LibraryImport(Name, EntryPoint = "ZSTD_isError")]
        private static partial uint GetIsError(nuint result);

        [LibraryImport(Name, EntryPoint = "ZSTD_getErrorName")]
        private static partial byte* GetErrorName(nuint result);
    }
}

/// <summary>A memory range and the library's position in it: <c>ZSTD_inBuffer</c> and <c>ZSTD_outBuffer</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ZstdBuffer(byte* start, nuint sizeBytes)
{
    public readonly byte* Start = start;
    public readonly nuint SizeBytes = sizeBytes;
    public nuint Position;
}

/// <summary>Owns a context of the library; used by one thread at a time.</summary>
internal abstract class ZstdContext : SafeHandleZeroOrMinusOneIsInvalid
{
    private readonly Action<nint> _free;

    private protected ZstdContext(nint context, Action<nint> free)
        : base(ownsHandle: true)
    {
        _free = free;
        SetHandle(context);
    }

    protected override bool ReleaseHandle()
    {
        _free(handle);
        return true;
    }
}

/// <summary>A <c>ZSTD_CCtx</c>.</summary>
internal sealed class ZstdCompressionContext(ZstdLibrary library)
    : ZstdContext(library.CreateCompressionContext(), library.FreeCompressionContext);

/// <summary>A <c>ZSTD_DCtx</c>.</summary>
internal sealed class ZstdDecompressionContext(ZstdLibrary library)
    : ZstdContext(library.CreateDecompressionContext(), library.FreeDecompressionContext);
