using Ottla.Kernel;
using Ottla.Network.Buffers;

namespace Ottla.UnitTests.Network;

public sealed class BufferPoolTests
{
    [Fact]
    public void EveryClassHoldsItsSizesAndWastesAtMostAFifth()
    {
        for (var bytes = 1; bytes <= BufferPool.PooledBytesMax; bytes += bytes < 10_000 ? 1 : 997)
        {
            var index = BufferPool.ClassOf(bytes);
            var size = BufferPool.BytesOf(index);
            Assert.True(size >= bytes, $"{bytes} bytes in a class of {size}");
            Assert.True(index == 0 || BufferPool.BytesOf(index - 1) < bytes, $"{bytes} bytes also fit the class below {size}");
            Assert.True(bytes <= BufferPool.BufferBytesMin || bytes * 5L >= size * 4L, $"{bytes} bytes waste too much of {size}");
            Assert.Equal(index, BufferPool.ClassOf(size));
        }

        Assert.Equal(BufferPool.PooledBytesMax, BufferPool.BytesOf(BufferPool.ClassOf(BufferPool.PooledBytesMax)));
    }

    [Fact]
    public void CountsWhatIsLentAndKeepsWhatComesBack()
    {
        var pool = new BufferPool();
        var first = pool.Rent(5000);
        var memory = first.Memory;
        Assert.Equal(5120, first.Length);
        Assert.Equal(5120, pool.RentedBytes);
        first.Dispose();
        first.Dispose();
        Assert.True(first.IsEmpty);
        Assert.Equal(0, pool.RentedBytes);
        Assert.Equal(5120, pool.RetainedBytes);

        var second = pool.Rent(5001);
        Assert.True(second.Memory.Equals(memory));
        Assert.Equal(0, pool.RetainedBytes);
        second.Dispose();
    }

    [Fact]
    public void RetentionIsBounded()
    {
        var pool = new BufferPool(retainedBytesMax: 3000);
        var buffers = Enumerable.Range(0, 10).Select(_ => pool.Rent(1024)).ToArray();
        foreach (var buffer in buffers)
            buffer.Dispose();
        Assert.Equal(2048, pool.RetainedBytes);
    }

    [Fact]
    public void LargerThanTheLargestClassIsLentExactlyAndNotKept()
    {
        var pool = new BufferPool();
        var buffer = pool.Rent(BufferPool.PooledBytesMax + 1);
        Assert.Equal(BufferPool.PooledBytesMax + 1, buffer.Length);
        Assert.Equal(BufferPool.PooledBytesMax + 1, pool.RentedBytes);
        buffer.Dispose();
        Assert.Equal(0, pool.RentedBytes);
        Assert.Equal(0, pool.RetainedBytes);
    }

    [Fact]
    public void TrimKeepsWhatWasNeededSinceTheLastTrim()
    {
        var pool = new BufferPool();
        var buffers = Enumerable.Range(0, 10).Select(_ => pool.Rent(1024)).ToArray();
        foreach (var buffer in buffers)
            buffer.Dispose();
        Assert.Equal(0, pool.Trim());

        var needed = Enumerable.Range(0, 3).Select(_ => pool.Rent(1024)).ToArray();
        foreach (var buffer in needed)
            buffer.Dispose();
        Assert.Equal(7 * 1024, pool.Trim());
        Assert.Equal(3 * 1024, pool.RetainedBytes);

        Assert.Equal(3 * 1024, pool.Trim());
        Assert.Equal(0, pool.RetainedBytes);
        pool.Rent(1024).Dispose();
        Assert.Equal(1024, pool.RetainedBytes);
    }

    [Fact]
    public async Task KAFKA_19012_ManyTasksNeverShareABuffer()
    {
        var pool = new BufferPool(retainedBytesMax: 64 * 1024);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(() =>
        {
            var random = new Prng((ulong)worker);
            for (var i = 0; i < 2000; i++)
            {
                var buffer = pool.Rent(random.NextInt(8000));
                buffer.Span.Fill((byte)worker);
                Assert.True(buffer.Span.IndexOfAnyExcept((byte)worker) < 0);
                buffer.Dispose();
                if (i % 100 == 0)
                    pool.Trim();
            }
        })));
        Assert.Equal(0, pool.RentedBytes);
        Assert.InRange(pool.RetainedBytes, 0, 64 * 1024);
    }

#if DEBUG
    [Fact]
    public void DebugBuildsFindABufferReturnedTwiceAndNameTheHolder()
    {
        var pool = new BufferPool();
        var buffer = pool.Rent(100);
        var copy = buffer;
        Assert.Contains(nameof(DebugBuildsFindABufferReturnedTwiceAndNameTheHolder), pool.DescribeRented(), StringComparison.Ordinal);
        buffer.Dispose();
        Assert.Equal("", pool.DescribeRented());
        Assert.Throws<InvariantViolationException>(() => copy.Dispose());
    }
#endif
}
