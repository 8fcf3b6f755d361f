namespace Ottla.UnitTests.Groups.Classic;

/// <summary>Many histories of a classic group, each from its seed. To look at one that fails, run its seed alone.</summary>
public sealed class ClassicGroupModelTests
{
    public static TheoryData<ulong> Seeds => [.. Enumerable.Range(1, 150).Select(seed => (ulong)seed)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void WhateverHappensMembersAreToldWhatIsTrueAndTheLogTellsTheSame(ulong seed)
    {
        var model = new ClassicGroupModel(seed);
        for (var round = 0; round < 3; round++)
        {
            model.RunWild(300);
            model.Settle();
        }
    }
}
