using Ottla.Cli;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Cli;

/// <summary>What <c>ottla features</c> prints is what kafka-features 4.4 printed.</summary>
public sealed class FeaturesTextTests
{
    [Fact]
    public void Describe()
    {
        var node = new ApiVersionsResponse
        {
            SupportedFeatures =
            [
                new() { Name = "metadata.version", MinVersion = 7, MaxVersion = 33 },
                    new() { Name = "group.version", MinVersion = 0, MaxVersion = 1 },
                new() { Name = "kraft.version", MinVersion = 0, MaxVersion = 1 },
            ],
            FinalizedFeatures =
                [new() { Name = "group.version", MaxVersionLevel = 1, MinVersionLevel = 1 },
                    new() { Name = "metadata.version", MaxVersionLevel = 30 }],
            FinalizedFeaturesEpoch = 12,
        };
        Assert.Equal(
            "Feature: group.version                             SupportedMinVersion: 0                SupportedMaxVersion: 1              "
                + "  FinalizedVersionLevel: 1                Epoch: 12\n"
            + "Feature: kraft.version                             SupportedMinVersion: 0                SupportedMaxVersion: 1            "
                + "    FinalizedVersionLevel: 0                Epoch: 12\n"
            + "Feature: metadata.version                          SupportedMinVersion: 3.3-IV3          SupportedMaxVersion: 4.4-IV2      "
                + "    FinalizedVersionLevel: 4.3-IV0          Epoch: 12\n",
            FeaturesText.Describe(node));
        node.FinalizedFeaturesEpoch = -1;
        Assert.EndsWith("Epoch: -\n", FeaturesText.Describe(node), StringComparison.Ordinal);
    }

    [Fact]
    public void Error_of_a_change_is_that_of_the_whole_or_of_one_feature()
    {
        Assert.Equal((ErrorCode.None, null), FeaturesText.ErrorOf(new UpdateFeaturesResponse()));
        Assert.Equal(
            (ErrorCode.InvalidUpdateVersion, "no"),
            FeaturesText.ErrorOf(new UpdateFeaturesResponse { ErrorCode = (short)ErrorCode.InvalidUpdateVersion, ErrorMessage = "no" }));
        var old = new UpdateFeaturesResponse
        {
            Results = [
            new() { Feature = "a" }, new() { Feature = "b", ErrorCode = (short)ErrorCode.InvalidUpdateVersion, ErrorMessage = "b" }]
        };
        Assert.Equal((ErrorCode.InvalidUpdateVersion, "b"), FeaturesText.ErrorOf(old));
    }
}
