using Ottla.Kernel;

namespace Ottla.UnitTests.Cli.KafkaTools;

/// <summary>The order of Java's hash maps.</summary>
public sealed class JavaHashOrderTests
{
    /// <summary>The order in which Kafka 4.4.0's kafka-topics described these topics.</summary>
    [Fact]
    public void Topics_come_in_the_order_in_which_Kafka_describes_them()
    {
        Assert.Equal(
            ["my.topic_1", "one", "del1", "assigned", "t1", "t2", "t3"],
            JavaHashOrder.Of(["assigned", "del1", "my.topic_1", "one", "t1", "t2", "t3"]));
    }

    [Fact]
    public void A_key_comes_once()
    {
        Assert.Equal(["t1", "t2"], JavaHashOrder.Of(["t2", "t1", "t2"]));
    }
}
