namespace Ottla.Protocol.Messages;

/// <summary>The reusable elements of an array in a reused message, because clients send the same shape again and again.</summary>
/// <remarks>
/// Elements that are not in use are reset. There is an array for each length that was wanted so far, and all of them have the same
/// elements: so what changes its length all the time, as the answers to a follower do, allocates nothing either.
/// </remarks>
internal struct ReusableParts<T>
    where T : class, IReusable, new()
{
    /// <summary>Longer arrays are not kept, so that one large request does not hold its memory for the life of the connection.</summary>
    private const int KeptMax = 64;

    private T[]? _kept;
    private T[]?[]? _byLength;
    private int _taken;

    /// <summary>Returns an array of reset elements, to be used until <see cref="Reset"/>. One at a time.</summary>
    public T[] Take(int length)
    {
        Reset();
        if (length == 0)
            return [];
        if (length > KeptMax)
            return Grow([], length);
        if (_kept is null || _kept.Length < length)
        {
            _kept = Grow(_kept ?? [], length);
            Array.Resize(ref _byLength, length + 1);
            _byLength[length] = _kept;
        }

        _taken = length;
        return _byLength![length] ??= _kept[..length];
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
}
