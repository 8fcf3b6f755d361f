using Ottla.HistoryChecker;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using static Ottla.UnitTests.HistoryChecker.Histories;

namespace Ottla.UnitTests.HistoryChecker;

/// <summary>Histories that look odd, and are right.</summary>
public sealed class CorrectHistoryTests
{
    [Fact]
    public void Nothing_at_all() => AssertClean();

    [Fact]
    public void A_send_of_unknown_outcome_may_be_there_or_not() => AssertClean(
        Info(1, Send("a", 10)),
        Info(2, Send("a", 11)),
        Ok(3, Assign("a")),
        Ok(3, Poll("a", (0, 11))));

    [Fact]
    public void A_transaction_in_doubt_may_turn_out_committed() => AssertClean(
        InDoubt(1, Send("a", 10, 0), Send("b", 20, 0)),
        Ok(2, Poll("a", (0, 10)), Poll("b", (0, 20))));

    [Fact]
    public void A_transaction_in_doubt_may_turn_out_aborted() => AssertClean(
        InDoubt(1, Send("a", 10, 0), Send("b", 20, 0)),
        Ok(2, Send("a", 11, 2)),
        Ok(3, Poll("a", (2, 11))));

    [Fact]
    public void A_send_that_was_never_acknowledged_need_not_belong_to_a_transaction_in_doubt() => AssertClean(
        InDoubt(1, Send("a", 10, 0), Send("b", 20)),
        Ok(2, Poll("a", (0, 10))));

    [Fact]
    public void Markers_and_aborted_records_are_no_skips() => AssertClean(
        Committed(1, Send("a", 10, 0)), // its marker is at 1
        Aborted(1, Send("a", 11, 2), Send("a", 12, 3)), // and at 4
        InDoubt(2, Send("a", 13, 5)), // aborted by timeout at 6
        Committed(1, Send("a", 14, 7)),
        Ok(3, AssignFrom("a", 0)),
        Ok(3, Poll("a", (0, 10))),
        Ok(3, Poll("a", (7, 14))));

    [Fact]
    public void Transactions_may_lie_between_each_other() => AssertClean(
        Committed(1, Send("a", 10, 0), Send("b", 20, 1), Send("a", 11, 2)),
        Committed(2, Send("a", 12, 1), Send("b", 21, 0)),
        Ok(3, Poll("a", (0, 10), (1, 12), (2, 11)), Poll("b", (0, 21), (1, 20))));

    [Fact]
    public void Under_subscribe_a_consumer_may_go_back_and_leave_things_to_others() => AssertClean(
        Ok(1, Send("a", 10, 0)),
        Ok(1, Send("a", 11, 1)),
        Ok(1, Send("a", 12, 2)),
        Ok(1, Send("a", 13, 3)),
        Ok(2, Subscribe("a")),
        Ok(3, Subscribe("a")),
        Ok(2, Poll("a", (0, 10))),
        Ok(3, Poll("a", (1, 11))),
        Ok(2, Poll("a", (2, 12))),
        Ok(3, Poll("a", (1, 11), (2, 12), (3, 13))));

    [Fact]
    public void A_rebalance_within_an_operation_starts_its_partitions_anew() => AssertClean(
        Ok(1, Send("a", 10, 0)),
        Ok(1, Send("a", 11, 1)),
        Ok(1, Send("a", 12, 2)),
        Ok(2, Subscribe("a")),
        Ok(2, Poll("a", (0, 10)), new Rebalance(["a"]), Poll("a", (2, 12)), new Rebalance(["a"]), Poll("a", (1, 11), (2, 12))));

    [Fact]
    public void An_assignment_keeps_places_and_a_stated_start_moves_them() => AssertClean(
        Ok(1, Send("a", 10, 0)),
        Ok(1, Send("a", 11, 1)),
        Ok(1, Send("b", 20, 0)),
        Ok(2, Assign("a")),
        Ok(2, Poll("a", (0, 10))),
        Ok(2, Assign("a", "b")),
        Ok(2, Poll("a", (1, 11)), Poll("b", (0, 20))),
        Ok(2, AssignFrom("a", 1)),
        Ok(2, Poll("a", (1, 11))),
        Ok(2, Assign("b")),
        Ok(2, Assign("a")),
        Ok(2, Poll("a", (0, 10)))); // it was given up in between: where to begin is up to the client

    [Fact]
    public void An_aborted_transactions_polls_are_repeated_or_not() => AssertClean(
        Ok(1, Send("a", 10, 0)),
        Ok(1, Send("a", 11, 1)),
        Ok(1, Send("a", 12, 2)),
        Ok(2, Assign("a")),
        Committed(2, Poll("a", (0, 10))),
        Aborted(2, Poll("a", (1, 11))),
        Aborted(2, Poll("a", (1, 11), (2, 12))),
        Committed(2, Poll("a", (1, 11))),
        Aborted(2, Poll("a", (2, 12))));

    [Fact]
    public void After_an_operation_in_doubt_nobody_knows_where_a_consumer_stands() => AssertClean(
        Ok(1, Send("a", 10, 0)),
        Ok(1, Send("a", 11, 1)),
        Ok(1, Send("a", 12, 2)),
        Ok(2, Assign("a")),
        Ok(2, Poll("a", (0, 10))),
        Info(2, Poll("a")),
        Ok(2, Poll("a", (2, 12))),
        Ok(3, Poll("a", (0, 10), (1, 11), (2, 12))));

    [Fact]
    public void What_fails_may_be_tried_again_with_the_same_value() => AssertClean(
        Aborted(1, Poll("in", (0, 10)), Send("out", 10, 0)),
        InDoubt(2, Poll("in", (0, 10)), Send("out", 10, 2)),
        Committed(3, Poll("in", (0, 10)), Send("out", 10, 4)),
        Ok(4, Send("in", 10, 0)),
        Ok(5, Poll("out", (4, 10))));

    [Fact]
    public void A_transaction_may_poll_what_another_sent_with_the_same_value() => AssertClean(
        InDoubt(1, Send("a", 10)),
        InDoubt(2, Poll("a", (0, 10)), Send("a", 10)));

    [Fact]
    public void Two_that_may_both_have_sent_a_value_make_no_circle() => AssertClean(
        InDoubt(1, Send("a", 10), Poll("b", (0, 20))),
        InDoubt(2, Send("a", 10)),
        Committed(3, Send("b", 20, 0), Poll("a", (0, 10))));

    [Fact]
    public void Information_may_flow_back_and_forth_in_one_direction_of_time() => AssertClean(
        Committed(1, Send("a", 10, 0)),
        Committed(2, Poll("a", (0, 10)), Send("b", 20, 0)),
        Committed(1, Poll("b", (0, 20)), Send("a", 11, 2)),
        Committed(2, Poll("a", (2, 11))));

    [Fact]
    public void Without_read_committed_all_that_is_in_the_log_may_be_seen() => AssertClean(
        new AnalysisOptions { IsReadCommitted = false },
        Aborted(1, Send("a", 10, 0), Send("b", 20, 0), Poll("a", (0, 10))),
        Committed(2, Send("a", 11, 2), Poll("a", (2, 11))));

    [Fact]
    public void Without_a_last_look_what_is_not_polled_yet_is_no_anomaly() => AssertClean(
        new AnalysisOptions { IsReadToTheEnd = false },
        Committed(1, Send("a", 10, 0), Send("b", 20, 0)),
        Ok(1, Send("a", 11, 2)),
        Ok(2, Poll("a", (0, 10))));

    /// <summary>
    /// A broker that does everything right, and clients that meet with everything: a history of more than a hundred thousand operations is
    /// clean.
    /// </summary>
    [Fact]
    public void A_long_history_of_a_correct_broker()
    {
        const int processes = 6, partitions = 8, operations = 100_000;
        var random = new Prng(4711);
        var logs = Enumerable.Range(0, partitions).Select(_ => new List<long?>()).ToArray(); // null: a marker, or aborted
        var positions = new int[processes, partitions];
        var history = Enumerable.Range(0, processes)
            .Select(p => Ok(p, new Assign([.. Enumerable.Range(0, partitions).Select(i => new AssignedPartition($"t-{i}", 0))]))).ToList();
        var nextValue = 0L;
        while (history.Count < operations)
            history.Add(NextOperation(random.NextInt(processes), (Outcome)Math.Max(0, random.NextInt(10) - 7)));
        for (var p = 0; p < partitions; p++)
            history.Add(Ok(processes, new Poll([.. Records(p, 0, logs[p].Count)])));

        AssertClean([.. history]);

        Operation NextOperation(int process, Outcome outcome)
        {
            var steps = new List<Step>();
            var happens = outcome == Outcome.Ok || (outcome == Outcome.Info && random.NextChance(50));
            var sent = new List<(int Partition, long Value)>();
            var from = Enumerable.Range(0, partitions).Select(p => positions[process, p]).ToArray();
            for (var step = 0; step < 3; step++)
            {
                var p = random.NextInt(partitions);
                if (random.NextChance(70))
                {
                    var until = Math.Min(from[p] + 10, logs[p].Count);
                    steps.Add(new Poll([.. Records(p, from[p], until)]));
                    from[p] = until;
                }
                else if (!sent.Exists(each => each.Partition == p)) // so that what is appended at the end keeps its order
                {
                    sent.Add((p, nextValue));
                    steps.Add(new Send($"t-{p}", nextValue++, outcome == Outcome.Info ? null : logs[p].Count));
                }
            }

            for (var p = 0; outcome == Outcome.Ok && p < partitions; p++)
                positions[process, p] = from[p];
            foreach (var (p, value) in sent)
                logs[p].AddRange([happens ? value : null, null]);
            if (outcome == Outcome.Info)
            {
                for (var p = 0; p < partitions; p++)
                    positions[process, p] = logs[p].Count; // it comes back as somebody who begins at the end
            }

            return new Operation { Process = process, Outcome = outcome, IsTransaction = true, Steps = steps };
        }

        IEnumerable<PolledRecord> Records(int p, int from, int until) =>
            Enumerable.Range(from, until - from).Where(offset => logs[p][offset] is not null)
            .Select(offset => new PolledRecord($"t-{p}", offset, logs[p][offset]!.Value));
    }
}
