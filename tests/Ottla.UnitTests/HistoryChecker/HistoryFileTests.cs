using Ottla.HistoryChecker.History;
using static Ottla.UnitTests.HistoryChecker.Histories;

namespace Ottla.UnitTests.HistoryChecker;

/// <summary>Histories survive the way to a file and back, and broken ones say where.</summary>
public sealed class HistoryFileTests
{
    private static readonly Operation[] Everything =
    [
        Ok(1, new Assign([new AssignedPartition("a-0", 5), new AssignedPartition("a-1")])),
        Ok(2, Subscribe("a", "b"), new Rebalance(["b-0"])),
        Committed(3, Send("a-0", 7, 5), Send("a-1", 8)),
        Aborted(3, Poll("a-0", (5, 7), (9, 0))) with { Note = "because" },
        InDoubt(long.MaxValue, Poll("a-0")),
    ];

    [Fact]
    public void What_is_written_is_read()
    {
        var text = new StringWriter();
        HistoryFile.Write(text, Everything);
        var read = HistoryFile.Read(new StringReader(text.ToString()));
        Assert.Equal(Everything.Select(operation => operation.ToString()), read.Select(operation => operation.ToString()));
        Assert.Equal(
            Everything.Select(operation => (operation.Process, operation.Outcome, operation.IsTransaction)),
            read.Select(operation => (operation.Process, operation.Outcome, operation.IsTransaction)));
    }

    [Fact]
    public void An_operation_is_a_line_that_people_can_read()
    {
        var text = new StringWriter();
        HistoryFile.Write(text, Committed(3, Send("orders-0", 7, 12), Poll("orders-1", (4, 2))));
        Assert.Equal(
            """{"process":3,"outcome":"ok","isTransaction":true,"steps":[{"do":"send","partition":"orders-0","value":7,"offset":12},{"do":"poll","records":[{"partition":"orders-1","offset":4,"value":2}]}]}""",
            text.ToString().Trim());
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("""{"process":1,"outcome":"perhaps","steps":[]}""")]
    [InlineData("""{"process":1,"outcome":0,"steps":[]}""")]
    [InlineData("""{"process":1,"outcome":"ok","steps":[{"do":"dance"}]}""")]
    [InlineData("""{"process":1,"outcome":"ok","steps":[{"do":"send","value":1}]}""")]
    [InlineData("""{"process":1,"outcome":"ok","steps":null}""")]
    [InlineData("""{"process":1,"outcome":"ok","steps":[],"colour":"red"}""")]
    [InlineData("""{"process":1,"outcome":"ok","steps":[""")]
    public void What_is_no_operation_is_refused_with_its_line(string line)
    {
        var text = new StringWriter();
        HistoryFile.Write(text, Everything[0]);
        text.WriteLine();
        text.WriteLine(line);
        var e = Assert.Throws<InvalidDataException>(() => HistoryFile.Read(new StringReader(text.ToString())));
        Assert.StartsWith("Line 3 ", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_recorder_writes_what_ends_and_at_last_what_never_does()
    {
        var file = new StringWriter();
        using var recorder = new HistoryRecorder(file);
        Assert.NotEqual(recorder.NextProcess(), recorder.NextProcess());
        recorder.Begin(Ok(8, Send("a", 1)));
        var ended = recorder.Begin(Ok(9, Send("a", 2)));
        recorder.Add(Ok(10, Poll("a", (0, 2))));
        recorder.End(ended, Ok(9, Send("a", 2, 0)));
        Assert.Equal(
            ["process 8, info: send 1 to a", "process 9, ok: send 2 to a at 0", "process 10, ok: poll [a 0:2]"],
            recorder.Operations.Select(operation => operation.ToString()));
        Assert.Equal([10L, 9], Read());
        recorder.Dispose();
        Assert.Equal([10L, 9, 8], Read());

        IEnumerable<long> Read() => HistoryFile.Read(new StringReader(file.ToString())).Select(operation => operation.Process);
    }
}
