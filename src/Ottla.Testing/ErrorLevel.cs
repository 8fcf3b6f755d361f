namespace Ottla.Testing;

/// <summary>Which error codes of an answer are set.</summary>
public enum ErrorLevel
{
    /// <summary>Every one.</summary>
    All,

    /// <summary>That of the answer itself.</summary>
    Top,

    /// <summary>Those of the things that the answer names: topics, partitions, members.</summary>
    Items,
}
