using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>An open file with several holders: its segment and the readers of its bytes. The last holder closes it.</summary>
/// <remarks>Thread-safe. Begins with the hold of its owner.</remarks>
internal sealed class SharedFile(IFile file)
{
    private int _holders = 1;

    public IFile File => file;

    /// <summary>Whether anyone besides the owner holds it.</summary>
    public bool IsShared => Volatile.Read(ref _holders) > 1;

    /// <summary>Adds a hold. The caller must know that another hold exists.</summary>
    public void Acquire()
    {
        var holders = Interlocked.Increment(ref _holders);
        Invariant.Check(holders > 1, "a closed file is not acquired");
    }

    /// <summary>Ends one hold.</summary>
    public void Release()
    {
        var holders = Interlocked.Decrement(ref _holders);
        Invariant.Check(holders >= 0, "a file is released as often as it was acquired");
        if (holders == 0)
            file.Dispose();
    }
}
