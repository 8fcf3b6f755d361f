using System.Reflection;
using Ottla.UnitTests.Broker;
using Ottla.UnitTests.Cli;
using Ottla.UnitTests.Controller;
using Ottla.UnitTests.Groups.Classic;
using Ottla.UnitTests.Groups.Consumer;
using Ottla.UnitTests.Groups.Regex;
using Ottla.UnitTests.Monitoring;
using Ottla.UnitTests.Network;
using Ottla.UnitTests.Protocol;
using Ottla.UnitTests.Protocol.Batches;
using Ottla.UnitTests.Requests;
using Ottla.UnitTests.Storage;
using Ottla.UnitTests.Transactions;

namespace Ottla.UnitTests.Security;

/// <summary>
/// What was wrong elsewhere, from 2018 to 2026, and how brokers are attacked: each with the tests that say that it is not wrong here, or
/// with the reason why there is none.
/// </summary>
public sealed class SecurityLessonsTests
{
    /// <summary>By advisory. Its tests are named after it.</summary>
    private static readonly Dictionary<string, Lesson> s_advisories = new()
    {
        ["CVE-2017-12610"] = new(typeof(LoginLessonsTests)),
        ["CVE-2018-1288"] = new(typeof(AccessLessonsTests)),
        ["CVE-2018-17196"] = new(typeof(AccessLessonsTests)),
        ["CVE-2019-12399"] = new(typeof(AccessLessonsTests)),
        ["CVE-2021-38153"] = new(typeof(LoginLessonsTests)),
        ["CVE-2021-44228"] = new(typeof(StandardErrorLogTests)),
        ["CVE-2022-34917"] = new(typeof(SecureNodeTests), typeof(FrameReaderTests)),
        ["CVE-2023-24619"] = new(typeof(AttackLessonsTests)),
        ["CVE-2023-25194"] = new(typeof(LoginLessonsTests)),
        ["CVE-2023-30450"] = new(typeof(LoginLessonsTests)),
        ["CVE-2023-34455"] = new(typeof(ExpandedSizeTests), typeof(RecordBatchValidatorTests)),
        ["CVE-2023-50976"] = new(typeof(AccessLessonsTests)),
        ["CVE-2024-27309"] = new(typeof(StandardAuthorizerTests)),
        ["CVE-2024-31141"] = new(typeof(AccessLessonsTests)),
        ["CVE-2024-36543"] = new("Connect's HTTP was open: there is no Connect here, and CVE-2026-82266 has all HTTP that there is"),
        ["CVE-2024-56128"] = new(typeof(LoginLessonsTests)),
        ["CVE-2025-27817"] = new(typeof(AccessLessonsTests), typeof(LoginLessonsTests)),
        ["CVE-2025-27818"] = new(typeof(LoginLessonsTests)),
        ["CVE-2025-27819"] = new(typeof(AccessLessonsTests)),
        ["CVE-2026-10142"] = new(typeof(RequestChannelTests)),
        ["CVE-2026-33557"] = new(typeof(TokenTests)),
        ["CVE-2026-49098"] = new(typeof(AttackLessonsTests)),
        ["CVE-2026-82266"] = new(typeof(MonitoringServerTests)),
        ["CVE-2026-110985"] = new(typeof(LoginLessonsTests)),
        ["CVE-2026-111108"] = new(typeof(WireTests)),
        ["CVE-2026-111115"] = new(typeof(WireTests)),
        ["CVE-2026-123270"] = new(typeof(MonitoringServerTests)),
        ["KAFKA-19012"] = new(typeof(BufferPoolTests)),
    };

    /// <summary>By attack.</summary>
    private static readonly Dictionary<string, (Type Class, string Method)[]> s_attacks = new()
    {
        ["slow logins"] = [(typeof(SecureNodeTests), nameof(SecureNodeTests.Who_does_not_log_in_is_closed_in_time))],
        ["connections without end"] =
        [
            (typeof(SecureNodeTests), nameof(SecureNodeTests.The_oldest_connections_that_are_not_logged_in_make_room_for_new_ones)),
            (typeof(ServerTests), nameof(ServerTests.Clients_have_as_many_connections_as_their_address_may)),
            (typeof(ServerTests), nameof(ServerTests.Connections_over_the_limit_wait_until_one_closes)),
        ],
        ["frames of 2 GiB"] = [(typeof(FrameReaderTests), nameof(FrameReaderTests.CVE_2022_34917_ALyingLengthCostsOnlyWhatArrives))],
        ["counts of arrays and tags"] =
        [
            (typeof(WireTests), nameof(WireTests.CVE_2026_111108_lengths_that_lie_allocate_nothing)),
            (typeof(WireTests), nameof(WireTests.CVE_2026_111115_structs_have_at_most_ten_thousand_tagged_fields)),
        ],
        ["records that expand"] =
            [(typeof(ExpandedSizeTests), nameof(ExpandedSizeTests.CVE_2023_34455_small_data_that_expands_to_much_is_seen))],
        ["headers without number"] =
        [
            (typeof(RecordBatchValidatorTests),
                nameof(RecordBatchValidatorTests.More_headers_than_there_are_bytes_are_refused_without_making_room_for_them)),
        ],
        ["a series of metrics for each name"] =
            [(typeof(NodeMetricsTests), nameof(NodeMetricsTests.Names_that_clients_choose_make_no_series))],
        ["fetch sessions that crowd others out"] =
            [(typeof(FetchSessionsTests), nameof(FetchSessionsTests.Only_sessions_unused_for_long_make_room))],
        ["producer ids without end"] =
        [
            (typeof(ProducerRulesTests), nameof(ProducerRulesTests.IdleProducersAreForgottenButNotOpenTransactions)),
            (typeof(TransactionUpkeepTests), nameof(TransactionUpkeepTests.IdsThatNobodyUsesAreForgotten)),
        ],
        ["group ids without end"] =
        [
            (typeof(AttackLessonsTests), nameof(AttackLessonsTests.Asking_for_groups_that_are_not_there_makes_none)),
            (typeof(ClassicJoinTests), nameof(ClassicJoinTests.AnIdWithoutAMemberIsForgottenAfterTheSessionTimeout)),
            (typeof(ConsumerHeartbeatErrorTests),
                nameof(ConsumerHeartbeatErrorTests.GROUP_MAX_SIZE_REACHED_but_not_for_those_who_are_in_it)),
        ],
        ["names of topics from errors"] =
            [(typeof(AccessLessonsTests), nameof(AccessLessonsTests.A_topic_that_may_not_be_seen_answers_as_one_that_is_not_there))],
        ["offsets by timestamp over old segments"] =
        [
            (typeof(AttackLessonsTests), nameof(AttackLessonsTests.Offsets_by_timestamp_are_looked_for_among_the_heavy_requests)),
            (typeof(HeavyRequestsTests), nameof(HeavyRequestsTests.No_more_run_at_once_than_may_and_all_run)),
        ],
        ["expressions that backtrack"] =
            [(typeof(TopicPatternTests), nameof(TopicPatternTests.An_expression_that_would_backtrack_for_ever_does_not))],
        ["a filter that deletes every ACL"] =
            [(typeof(AclCommandTests), nameof(AclCommandTests.No_more_than_ten_thousand_entries_are_deleted_at_once))],
        ["transactions that never end"] =
        [
            (typeof(HostileTransactionTests), nameof(HostileTransactionTests.The_longest_timeout_is_the_brokers)),
            (typeof(TransactionUpkeepTests), nameof(TransactionUpkeepTests.TransactionThatTakesTooLongIsAbortedAndItsProducerFenced)),
        ],
        ["SCRAM with millions of iterations"] =
            [(typeof(CredentialCommandTests), nameof(CredentialCommandTests.A_bad_credential_fails_alone))],
        ["tokens with made-up keys"] =
        [
            (typeof(AttackLessonsTests), nameof(AttackLessonsTests.Tokens_with_unknown_keys_have_the_keys_read_once_in_ten_seconds)),
            (typeof(TokenTests), nameof(TokenTests.An_unknown_key_has_the_keys_read_again_and_a_monstrous_one_has_not)),
        ],
        ["metrics for everybody"] =
        [
            (typeof(MonitoringServerTests),
                nameof(MonitoringServerTests.CVE_2026_82266_HTTP_is_answered_to_this_machine_only_unless_told_otherwise)),
        ],
        ["names that write lines of the log"] =
            [(typeof(StandardErrorLogTests), nameof(StandardErrorLogTests.CVE_2021_44228_a_name_of_a_client_stays_a_part_of_its_line))],
    };

    public static TheoryData<string> Advisories => [.. s_advisories.Keys];

    public static TheoryData<string> Attacks => [.. s_attacks.Keys];

    [Theory]
    [MemberData(nameof(Advisories))]
    public void An_advisory_has_a_test_that_is_named_after_it_or_a_reason(string advisory)
    {
        var lesson = s_advisories[advisory];
        Assert.NotEqual(lesson.Classes.Length == 0, lesson.Reason.Length == 0);
        var prefix = $"{advisory.Replace('-', '_')}_";
        Assert.All(lesson.Classes, each => Assert.Contains(each.GetMethods(), method =>
            method.Name.StartsWith(prefix, StringComparison.Ordinal) && IsTest(method)));
    }

    /// <summary>A test that is named after an advisory stands in the table.</summary>
    [Fact]
    public void No_advisory_is_left_out()
    {
        var named = typeof(SecurityLessonsTests).Assembly.GetTypes().SelectMany(type => type.GetMethods()).Where(IsTest)
            .Select(method => method.Name.Split('_')).Where(parts => parts is ["CVE", _, _, ..])
            .Select(parts => $"CVE-{parts[1]}-{parts[2]}").ToHashSet();
        Assert.Empty(named.Except(s_advisories.Keys));
        Assert.Equal(
            s_advisories.Where(each => each.Value.Classes.Length > 0 && each.Key.StartsWith("CVE", StringComparison.Ordinal))
                .Select(each => each.Key).Order(),
            named.Order());
    }

    [Theory]
    [MemberData(nameof(Attacks))]
    public void An_attack_has_tests(string attack) =>
        Assert.All(s_attacks[attack], test => Assert.True(IsTest(test.Class.GetMethod(test.Method)!), test.Method));

    private static bool IsTest(MethodInfo method) => method.GetCustomAttribute<FactAttribute>() is { Skip: null };

    /// <param name="Classes">The classes with tests.</param>
    /// <param name="Reason">Why there is none.</param>
    private sealed record Lesson(Type[] Classes, string Reason)
    {
        public Lesson(params Type[] classes)
            : this(classes, "")
        {
        }

        public Lesson(string reason)
            : this([], reason)
        {
        }
    }
}
