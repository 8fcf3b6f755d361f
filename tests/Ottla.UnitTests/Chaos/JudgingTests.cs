using Ottla.Chaos.Clients;
using Ottla.Chaos.Judging;

namespace Ottla.UnitTests.Chaos;

/// <summary>The judge's own checks find what they are there for, and nothing else.</summary>
public sealed class JudgingTests
{
    [Fact]
    public void A_lost_commit_is_found()
    {
        var found = CommitCheck.Find([
            ("group", "first", [Of(ReaderEventKind.Assign, 1), Of(ReaderEventKind.Poll, 2, 9), Of(ReaderEventKind.Commit, 3, 10)]),
            ("group", "second", [Of(ReaderEventKind.Assign, 4), Of(ReaderEventKind.Poll, 5, 8)]),
        ]);
        Assert.Contains("had committed 10", Assert.Single(found), StringComparison.Ordinal);
    }

    [Fact]
    public void A_commit_behind_the_assignment_and_that_of_another_group_bind_nobody()
    {
        var found = CommitCheck.Find([
            ("group", "first", [Of(ReaderEventKind.Assign, 1), Of(ReaderEventKind.Commit, 5, 10)]),
            ("group", "second", [Of(ReaderEventKind.Assign, 4), Of(ReaderEventKind.Poll, 6, 8), Of(ReaderEventKind.Poll, 7, 3)]),
            ("other", "third", [Of(ReaderEventKind.Assign, 9), Of(ReaderEventKind.Poll, 10, 0)]),
        ]);
        Assert.Empty(found);
    }

    [Theory]
    [InlineData("abcdef", "abcdef", null)]
    [InlineData("abcdef", "abcxef", "they differ at byte 3")]
    [InlineData("abc", "abcdef", "one ends at byte 3, the other goes on")]
    public void Replicas_are_compared_whatever_their_segments_are(string one, string other, string? difference)
    {
        var folder = Directory.CreateTempSubdirectory("ottla-chaos-test-");
        try
        {
            Write(Path.Combine(folder.FullName, "one"), one[..2], one[2..]);
            Write(Path.Combine(folder.FullName, "other"), other);
            Assert.Equal(
                difference, ReplicaComparison.FindDifference(Path.Combine(folder.FullName, "one"), Path.Combine(folder.FullName, "other")));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Write(string directory, params string[] segments)
    {
        Directory.CreateDirectory(directory);
        for (var i = 0; i < segments.Length; i++)
            File.WriteAllText(Path.Combine(directory, $"{i:00000000000000000000}.log"), segments[i]);
    }

    private static ReaderEvent Of(ReaderEventKind kind, int seconds, long offset = -1) =>
        new(kind, TimeSpan.FromSeconds(seconds), Partition: 0, offset);
}
