using System.Runtime.InteropServices;

namespace Ottla.Chaos.Machines;

/// <summary>
/// A disk of a machine: a file system of its own (ext4 on a loop device) that can lose power, fail and be full. Where the machine does not
/// allow that, a plain directory that cannot. Used by the run, one step at a time; its image stays in the run's folder.
/// </summary>
/// <remarks>
/// Loss of power is the file system's own: it is told to shut down without another write, not even of its journal
/// (<c>EXT4_IOC_SHUTDOWN</c>). What was not synced is gone after the next mount, names of files too, unless the kernel had written it out
/// by itself, as on a real machine. What the write cache of a drive may lose or tear beyond that is not made here.
/// </remarks>
internal sealed class Disk
{
    private const long Bytes = 1L << 30;
    private const nuint ShutDown = 0x8004587d; // EXT4_IOC_SHUTDOWN
    private const uint WithoutJournal = 2; // EXT4_GOING_FLAGS_NOLOGFLUSH
    private const string BallastName = "ballast";
    private const string Data = "data";
    private const long BallastStep = 16 << 20;
    private const int BlockBytes = 4096;

    private readonly string _image;
    private readonly string _mount;

    private Disk(string image, string mount, bool isReal) => (_image, _mount, IsReal) = (image, mount, isReal);

    /// <summary>Whether it can fail.</summary>
    public bool IsReal { get; }

    /// <summary>Where a node puts a log directory.</summary>
    public string Directory => Path.Combine(_mount, Data);

    /// <summary>Makes and mounts it.</summary>
    public static Disk Create(string folder, string name)
    {
        var image = Path.Combine(folder, $"{name}.img");
        var mount = System.IO.Directory.CreateDirectory(Path.Combine(folder, name)).FullName;
        using (var file = File.Create(image))
            file.SetLength(Bytes);
        var isReal = Tool.TryRun("mkfs.ext4", ["-q", "-F", "-m", "0", image], out _)
            && Tool.TryRun("mount", ["-o", "loop", image, mount], out _);
        if (!isReal)
            File.Delete(image);
        return new Disk(image, mount, isReal);
    }

    /// <summary>From now on every write and sync fails, and what was not synced is lost.</summary>
    public void Fail()
    {
        using var root = NativeMethods.Open(_mount, NativeMethods.CloseOnExec);
        var flags = new byte[sizeof(uint)];
        MemoryMarshal.Write(flags, WithoutJournal);
        if (NativeMethods.Control(root, ShutDown, ref flags[0]) < 0)
            throw new ToolException($"{_mount} cannot be shut down: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    /// <summary>Makes a failed disk work again, with what it has. Nobody may use it meanwhile.</summary>
    public void Restore()
    {
        Tool.Run("umount", _mount);
        Tool.Run("mount", "-o", "loop", _image, _mount);
    }

    /// <summary>Leaves no block free.</summary>
    public void FillUp()
    {
        using var ballast = File.OpenHandle(Path.Combine(_mount, BallastName), FileMode.OpenOrCreate, FileAccess.ReadWrite);
        var length = RandomAccess.GetLength(ballast);
        for (var step = BallastStep; step >= BlockBytes;)
        {
            if (NativeMethods.Allocate(ballast, length, step) == 0)
                length += step;
            else
                step /= 2;
        }
    }

    /// <summary>Gives back what <see cref="FillUp"/> took.</summary>
    public void MakeRoom() => File.Delete(Path.Combine(_mount, BallastName));

    /// <summary>Unmounts it, and removes the image unless it is to be kept.</summary>
    public void Dispose(bool keep)
    {
        if (!IsReal)
            return;
        Tool.TryRun("umount", ["--lazy", _mount], out _);
        if (!keep)
            File.Delete(_image);
    }

    /// <inheritdoc/>
    public override string ToString() => Path.GetFileName(_mount);
}
