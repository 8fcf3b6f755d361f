using Ottla.Kernel;

namespace Ottla.UnitTests.Kernel;

/// <summary>Broken invariants say what broke.</summary>
public sealed class InvariantTests
{
    [Fact]
    public void A_broken_one_names_its_condition()
    {
        var count = 3;
        Invariant.Check(count == 3, "three are needed");
        var violation = Assert.Throws<InvariantViolationException>(() => Invariant.Check(count == 4, "four are needed"));
        Assert.Equal("four are needed (violated: count == 4)", violation.Message);
    }
}
