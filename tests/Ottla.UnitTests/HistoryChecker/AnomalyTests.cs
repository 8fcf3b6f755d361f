using Ottla.HistoryChecker;
using static Ottla.UnitTests.HistoryChecker.Histories;

namespace Ottla.UnitTests.HistoryChecker;

/// <summary>Every anomaly, in the smallest history that shows it.</summary>
public sealed class AnomalyTests
{
    [Fact]
    public void An_acknowledged_value_that_polls_passed_by_is_lost() => AssertFinds(
        AnomalyKind.LostWrite,
        [0],
        Ok(1, Send("a", 10, 0)),
        Ok(1, Send("a", 11, 1)),
        Ok(2, Poll("a", (1, 11))));

    [Fact]
    public void A_committed_transactions_value_is_lost_alike() => AssertFinds(
        [AnomalyKind.LostWrite, AnomalyKind.TornTransaction],
        Committed(1, Send("a", 10, 0), Send("b", 20, 0)),
        Ok(1, Send("a", 11, 2)),
        Ok(2, Poll("a", (2, 11)), Poll("b", (0, 20))));

    [Fact]
    public void An_acknowledged_value_that_nobody_polled_is_unseen() => AssertFinds(
        AnomalyKind.Unseen,
        [1],
        Ok(1, Send("a", 10, 0)),
        Ok(1, Send("a", 11, 1)),
        Ok(2, Poll("a", (0, 10))));

    [Fact]
    public void Without_an_offset_an_acknowledged_value_can_only_be_unseen() => AssertFinds(
        AnomalyKind.Unseen,
        [0],
        Ok(1, Send("a", 10)),
        Ok(1, Send("a", 11, 5)),
        Ok(2, Poll("a", (5, 11))));

    [Fact]
    public void A_value_at_two_offsets_is_a_duplicate() => AssertFinds(
        AnomalyKind.Duplicate,
        [0, 1],
        Info(1, Send("a", 10)),
        Ok(2, Poll("a", (0, 10), (1, 10))));

    [Fact]
    public void A_value_that_is_not_where_it_was_acknowledged_is_a_duplicate() => AssertFinds(
        AnomalyKind.Duplicate,
        [0, 1],
        Ok(1, Send("a", 10, 3)),
        Ok(2, Poll("a", (4, 10))));

    [Fact]
    public void An_input_that_two_transactions_turned_into_the_same_output_is_a_duplicate() => AssertFinds(
        AnomalyKind.Duplicate,
        [0, 1, 2],
        Committed(1, Send("out", 10, 0)),
        Committed(2, Send("out", 10, 2)),
        Ok(3, Poll("out", (0, 10), (2, 10))));

    [Fact]
    public void Two_values_at_one_offset_are_inconsistent() => AssertFinds(
        AnomalyKind.InconsistentOffsets,
        [0, 1, 2, 3],
        Ok(1, Send("a", 10, 0)),
        Info(2, Send("a", 11)),
        Ok(3, Poll("a", (0, 10))),
        Ok(4, Poll("a", (0, 11))));

    [Fact]
    public void A_value_that_nobody_sent_is_a_phantom() => AssertFinds(
        AnomalyKind.PhantomRead,
        [0],
        Ok(1, Poll("a", (0, 10))));

    [Fact]
    public void A_polled_value_of_an_aborted_transaction_is_an_aborted_read() => AssertFinds(
        AnomalyKind.AbortedRead,
        [0, 1],
        Aborted(1, Send("a", 10, 0)),
        Ok(2, Poll("a", (0, 10))));

    [Fact]
    public void A_polled_value_of_a_failed_send_is_an_aborted_read_for_everybody()
    {
        var history = new[] { Fail(1, Send("a", 10)), Ok(2, Poll("a", (0, 10))) };
        AssertFinds(AnomalyKind.AbortedRead, [0, 1], history);
        var report = HistoryAnalysis.Check(history, new AnalysisOptions { IsReadCommitted = false });
        Assert.Equal(AnomalyKind.AbortedRead, Assert.Single(report.Anomalies).Kind);
    }

    [Fact]
    public void A_transaction_that_polls_its_own_value_reads_what_is_not_committed() => AssertFinds(
        AnomalyKind.PrecommittedRead,
        [0],
        Committed(1, Send("a", 10, 0), Poll("a", (0, 10))));

    [Fact]
    public void An_aborted_transaction_that_polled_its_own_value_read_it_before_and_after() => AssertFinds(
        [AnomalyKind.AbortedRead, AnomalyKind.PrecommittedRead],
        Aborted(1, Send("a", 10, 0), Poll("a", (0, 10))));

    [Fact]
    public void Two_transactions_that_polled_each_other_are_a_circle() => AssertFinds(
        AnomalyKind.CircularInformationFlow,
        [0, 1],
        Committed(1, Send("a", 10, 0), Poll("b", (0, 20))),
        Committed(2, Send("b", 20, 0), Poll("a", (0, 10))));

    [Fact]
    public void A_long_circle_is_found_among_other_transactions_and_shown_by_its_shortest_way()
    {
        const int length = 20_000; // recursion would not get so deep
        var history = Enumerable.Range(0, length)
            .Select(i => Committed(i, Send("a", i, i), Poll("a", ((i + length - 1) % length, (i + length - 1) % length))))
            .Append(Committed(length, Poll("a", (0, 0), (1, 1))))
            .ToArray();
        var anomaly = Assert.Single(
            HistoryAnalysis.Check(history).Anomalies, anomaly => anomaly.Kind == AnomalyKind.CircularInformationFlow);
        Assert.Equal(Enumerable.Range(0, length), anomaly.Operations);

        history[5] = Committed(5, Send("a", 5, 5), Poll("a", (4, 4), (6, 6)));
        anomaly = Assert.Single(HistoryAnalysis.Check(history).Anomalies, anomaly => anomaly.Kind == AnomalyKind.CircularInformationFlow);
        Assert.Equal(length, anomaly.Operations.Count); // through the first of them, which the short circle does not touch
    }

    [Fact]
    public void A_transaction_in_doubt_that_was_seen_in_part_is_torn() => AssertFinds(
        AnomalyKind.TornTransaction,
        [0, 1],
        InDoubt(1, Send("a", 10, 0), Send("b", 20, 0)),
        Ok(2, Poll("a", (0, 10))));

    [Fact]
    public void An_aborted_transaction_that_was_seen_in_part_is_torn_as_well() => AssertFinds(
        [AnomalyKind.AbortedRead, AnomalyKind.TornTransaction],
        Aborted(1, Send("a", 10, 0), Send("b", 20, 0)),
        Ok(2, Poll("a", (0, 10))));

    [Fact]
    public void A_record_left_out_between_two_polls_is_a_skip() => AssertFinds(
        AnomalyKind.PollSkip,
        [4, 5],
        Ok(1, Send("a", 10, 0)),
        Ok(1, Send("a", 11, 1)),
        Ok(1, Send("a", 12, 2)),
        Ok(2, Assign("a")),
        Ok(2, Poll("a", (0, 10))),
        Ok(2, Poll("a", (2, 12))),
        Ok(3, Poll("a", (0, 10), (1, 11), (2, 12))));

    [Fact]
    public void A_record_left_out_at_the_start_is_a_skip() => AssertFinds(
        AnomalyKind.PollSkip,
        [2, 3],
        Ok(1, Send("a", 10, 0)),
        Ok(1, Send("a", 11, 1)),
        Ok(2, AssignFrom("a", 0)),
        Ok(2, Poll("a", (1, 11))),
        Ok(3, Poll("a", (0, 10), (1, 11))));

    [Fact]
    public void A_second_poll_of_the_same_record_goes_back() => AssertFinds(
        AnomalyKind.NonmonotonicPoll,
        [2, 3],
        Ok(1, Send("a", 10, 0)),
        Ok(2, Assign("a")),
        Ok(2, Poll("a", (0, 10))),
        Ok(2, Poll("a", (0, 10))));

    [Fact]
    public void A_poll_after_an_abort_may_go_back_but_not_on() => AssertFinds(
        AnomalyKind.PollSkip,
        [4, 5],
        Ok(1, Send("a", 10, 0)),
        Ok(1, Send("a", 11, 1)),
        Ok(1, Send("a", 12, 2)),
        Ok(2, Assign("a")),
        Aborted(2, Poll("a", (0, 10))),
        Committed(2, Poll("a", (2, 12))),
        Ok(3, Poll("a", (0, 10), (1, 11), (2, 12))));

    [Fact]
    public void A_record_left_out_within_an_operation_is_a_skip_even_under_subscribe() => AssertFinds(
        AnomalyKind.InternalPollSkip,
        [4],
        Ok(1, Send("a", 10, 0)),
        Ok(1, Send("a", 11, 1)),
        Ok(1, Send("a", 12, 2)),
        Ok(2, Subscribe("a")),
        Committed(2, Poll("a", (0, 10)), Poll("a", (2, 12))),
        Ok(3, Poll("a", (0, 10), (1, 11), (2, 12))));

    [Fact]
    public void A_poll_that_goes_back_within_an_operation_is_wrong_even_under_subscribe() => AssertFinds(
        AnomalyKind.InternalNonmonotonicPoll,
        [3],
        Ok(1, Send("a", 10, 0)),
        Ok(1, Send("a", 11, 1)),
        Ok(2, Subscribe("a")),
        Ok(2, Poll("a", (1, 11), (0, 10))));

    [Fact]
    public void A_send_that_is_stored_before_the_one_before_it_is_nonmonotonic() => AssertFinds(
        AnomalyKind.NonmonotonicSend,
        [0, 1],
        Ok(1, Send("a", 10, 1)),
        Ok(1, Send("a", 11, 0)),
        Ok(2, Poll("a", (0, 11), (1, 10))));

    [Fact]
    public void So_it_is_within_a_transaction_whatever_became_of_that() => AssertFinds(
        AnomalyKind.InternalNonmonotonicSend,
        [0],
        Aborted(1, Send("a", 10, 1), Send("a", 11, 0)));

    [Fact]
    public void The_report_says_what_where_and_who()
    {
        var report = AssertFinds(
            [AnomalyKind.LostWrite, AnomalyKind.AbortedRead],
            Ok(1, Send("orders-0", 10, 0)),
            Aborted(7, Send("orders-0", 11, 1)) with { Note = "TIMED_OUT" },
            Ok(2, Poll("orders-0", (1, 11))));
        Assert.Equal(
            """
            3 operations, 2 records sent, 1 polled: LostWrite 1, AbortedRead 1
            LostWrite: 10 was acknowledged by orders-0 at 0, polls got to 1, and never got it
                #0 process 1, ok: send 10 to orders-0 at 0
            AbortedRead: 11 was polled from orders-0, but what sent it failed
                #1 process 7, transaction, fail: send 11 to orders-0 at 1 (TIMED_OUT)
                #2 process 2, ok: poll [orders-0 1:11]

            """,
            report.ToString(),
            ignoreLineEndingDifferences: true);
    }
}
