namespace Ottla.Protocol.Messages;

/// <summary>How many elements of an array a reused message keeps for its next use.</summary>
/// <remarks>
/// A message with more makes new ones, so that a large request does not hold its memory for the life of the connection. The parts of a part
/// have the larger bound, because a request names more partitions than topics; were all as large, one request could make a connection keep
/// millions.
/// </remarks>
internal static class ReusablePartsLimits
{
    /// <summary>For most arrays.</summary>
    public const int Few = 64;

    /// <summary>For the partitions of a topic.</summary>
    public const int Many = 1024;
}

/// <summary>The reusable elements of an array in a reused message, because clients send the same shape again and again.</summary>
/// <remarks>
/// <para>
/// Elements that are not in use are reset. There is an array for each short length that was wanted so far, and one for each of the last
/// long ones; all of them have the same elements. So what changes its length all the time, as the answers to a follower do, allocates
/// nothing either, or beyond <see cref="ReusablePartsLimits.Few"/> elements an array of references at most.
/// </para>
/// <para>Elements that are not wanted for long are let go: the first request of a session names everything, those after it little.</para>
/// </remarks>
internal struct ReusableParts<T>
    where T : class, IReusable, new()
{
    /// <summary>How many arrays with more than <see cref="ReusablePartsLimits.Few"/> elements are kept.</summary>
    private const int LongArraysMax = 4;

    /// <summary>As many uses in a row that need less than half of the elements end their keeping.</summary>
    private const int ShortUsesMax = 64;

    private T[]? _kept;
    private T[]?[]? _byLength;
    private T[]?[]? _long;
    private int _taken;
    private int _shortUses;

    /// <summary>Returns an array of reset elements, to be used until <see cref="Reset"/>. One at a time.</summary>
    /// <param name="length">The length of the array.</param>
    /// <param name="keptMax">The most elements to keep, at least <see cref="ReusablePartsLimits.Few"/>.</param>
    public T[] Take(int length, int keptMax = ReusablePartsLimits.Few)
    {
        Reset();
        DropIfShort(length);
        if (length == 0)
            return [];
        if (length > keptMax)
            return Grow([], length);
        if (_kept is null || _kept.Length < length)
        {
            _kept = Grow(_kept ?? [], length);
            if (_byLength is null || _byLength.Length <= Math.Min(length, ReusablePartsLimits.Few))
                Array.Resize(ref _byLength, Math.Min(length, ReusablePartsLimits.Few) + 1);
        }

        _taken = length;
        return length <= ReusablePartsLimits.Few ? _byLength![length] ??= ArrayOf(length) : TakeLong(length);
    }

    /// <summary>Takes the elements back and resets them.</summary>
    public void Reset()
    {
        for (var i = 0; i < _taken; i++)
            _kept![i].Reset();
        _taken = 0;
    }

    private static T[] Grow(T[] parts, int length)
    {
        var grown = new T[length];
        parts.CopyTo(grown, 0);
        for (var i = parts.Length; i < length; i++)
            grown[i] = new T();
        return grown;
    }

    private readonly T[] ArrayOf(int length) => length == _kept!.Length ? _kept : _kept[..length];

    /// <summary>Finds the array of a length, or makes it in the place of the one that was not used for longest.</summary>
    private T[] TakeLong(int length)
    {
        _long ??= new T[]?[LongArraysMax];
        var place = 0;
        while (place < LongArraysMax - 1 && _long[place]?.Length != length)
            place++;
        var array = _long[place]?.Length == length ? _long[place]! : ArrayOf(length);
        for (; place > 0; place--)
            _long[place] = _long[place - 1];
        return _long[0] = array;
    }

    private void DropIfShort(int length)
    {
        if (_kept is null || _kept.Length <= ReusablePartsLimits.Few || length > _kept.Length / 2)
            _shortUses = 0;
        else if (++_shortUses > ShortUsesMax)
            (_kept, _byLength, _long, _shortUses) = (null, null, null, 0);
    }
}
