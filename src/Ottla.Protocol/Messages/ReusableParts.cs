namespace Ottla.Protocol.Messages;

/// <summary>The elements of an array of a message that is reused: clients send the same shape again and again.</summary>
/// <remarks>The elements not given out are as new. An array of another length than the last is made anew, its elements are not.</remarks>
internal struct ReusableParts<T>
    where T : class, IReusable, new()
{
    /// <summary>Arrays longer than this are not kept, lest one large request hold its memory for as long as its connection lives.</summary>
    private const int KeptMax = 64;

    private T[]? _kept;
    private T[]? _array;
    private int _taken;

    /// <summary>An array of elements that are as new, to be used until <see cref="Reset"/>. One at a time.</summary>
    public T[] Take(int length)
    {
        Reset();
        if (length == 0)
            return [];
        if (length > KeptMax)
            return Grow([], length);
        if (_kept is null || _kept.Length < length)
            _kept = Grow(_kept ?? [], length);
        if (_array?.Length != length)
            _array = _kept.Length == length ? _kept : _kept[..length];
        _taken = length;
        return _array;
    }

    /// <summary>Takes the elements back and makes them as new.</summary>
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
