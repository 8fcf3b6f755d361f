using System.Reflection;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.UnitTests.Schemas;

namespace Ottla.UnitTests.Protocol;

/// <summary>The responses to requests that fail as a whole, as they are compiled from the schemas.</summary>
public sealed class ErrorResponseTests
{
    private const short Error = 41;

    /// <summary>Their responses have no place for an error that does not depend on what was found.</summary>
    private static readonly HashSet<string> Silent = ["DescribeLogDirsRequest 1", "DescribeLogDirsRequest 2"];

    private static readonly Type[] HandlerTypes = [
        typeof(Ottla.Broker.Server.IApiHandler<,>), typeof(Ottla.Broker.Server.IReusingApiHandler<,>)];

    public static TheoryData<string> Requests => [.. MessageType.All.Keys.Where(name => ServedRequests.Contains(name))];

    private static HashSet<string> ServedRequests { get; } =
        [.. typeof(Ottla.Broker.Api.BrokerApis).Assembly.GetTypes()
            .SelectMany(type => type.GetInterfaces())
            .Where(type => type.IsGenericType && HandlerTypes.Contains(type.GetGenericTypeDefinition()))
            .Select(type => type.GetGenericArguments()[0].Name)];

    [Theory]
    [MemberData(nameof(Requests))]
    public void Every_request_has_one_in_every_version(string name)
    {
        var type = MessageType.All[name];
        foreach (var version in type.Versions)
        {
            var builder = new MessageBuilder(SchemaCatalog.ByMessage[name], version);
            for (var i = 0; i < FuzzSettings.MessagesPerVersion; i++)
            {
                var request = builder.Random(new Prng(type.Seed + (ulong)i));
                var response = (IMessage)type.Class.GetMethod("ToErrorResponse")!.Invoke(request, [version, Error, "why"])!;
                var decoded = MessageType.All[response.GetType().Name].ReadAll(WireBuffer.Encode(response, version), version);
                var errors = ErrorsIn(decoded).ToList();
                Assert.Equal(errors.Count(error => error == Error), CountErrors(response, version));
                Assert.All(errors, error => Assert.True(error is Error or 0, $"{name} v{version}: {error}"));
                Assert.True(
                    errors.Contains(Error) || LeavesSomethingOut(request) || Silent.Contains($"{name} {version}"),
                    $"{name} v{version}: no error in the response: its schema lacks 'from' or 'error' (schemas/README.md)");
            }
        }
    }

    [Fact]
    public void Elements_of_the_request_are_named()
    {
        var deleted = new DeleteTopicsRequest { TopicNames = ["a", "b"] }.ToErrorResponse(4, Error, null);
        Assert.Equal([("a", Error), ("b", Error)], deleted.Responses.Select(each => (each.Name!, each.ErrorCode)));
        var id = new Uuid(1, 2);
        var byId = new DeleteTopicsRequest { Topics = [new() { TopicId = id }, new() { Name = "c" }] }.ToErrorResponse(6, Error, "why");
        Assert.Equal(
            [(null, id, "why"), ("c", Uuid.Zero, "why")], byId.Responses.Select(each => (each.Name, each.TopicId, each.ErrorMessage)));
        var move = new AlterReplicaLogDirsRequest
        {
            Dirs =
            [
                new() { Path = "/x", Topics = [new() { Name = "t", Partitions = [3, 4] }] },
                new() { Topics = [new() { Name = "u", Partitions = [5] }] },
            ],
        };
        var moved = move.ToErrorResponse(2, Error, null);
        Assert.Equal(
            ["t 3", "t 4", "u 5"],
            moved.Results.SelectMany(topic => topic.Partitions.Select(partition => $"{topic.TopicName} {partition.PartitionIndex}")));
        var metadata = new MetadataRequest { Topics = [new() { TopicId = id, Name = null }] }.ToErrorResponse(10, Error, null);
        Assert.Equal(("", id, Error), (metadata.Topics[0].Name, metadata.Topics[0].TopicId, metadata.Topics[0].ErrorCode));
        var coordinators = new FindCoordinatorRequest { CoordinatorKeys = ["g"] }.ToErrorResponse(4, Error, null);
        Assert.Equal(
            ("g", -1, -1), (coordinators.Coordinators[0].Key, coordinators.Coordinators[0].NodeId, coordinators.Coordinators[0].Port));
    }

    [Theory]
    [InlineData(6, "")]
    [InlineData(7, null)]
    public void A_value_of_errors_is_null_only_where_the_version_has_null(short version, string? expected)
    {
        var joined = new JoinGroupRequest { MemberId = "m" }.ToErrorResponse(version, Error, null);
        Assert.Equal((Error, "m", expected), (joined.ErrorCode, joined.MemberId, joined.ProtocolName));
        Assert.Null(new DescribeClientQuotasRequest().ToErrorResponse(1, Error, "why").Entries);
    }

    [Fact]
    public void Errors_and_successes_are_counted_as_often_as_they_are_answered()
    {
        var response = new OffsetFetchResponse
        {
            Groups =
            [
                new() { ErrorCode = Error },
                new() { Topics = [new() { Partitions = [new() { ErrorCode = Error }, new()] }] },
            ],
            ErrorCode = Error,
        };
        var failures = new ErrorCounts();
        var tally = new ErrorTally(failures);
        response.CountErrors(8, ref tally); // which has no error of the whole response
        Assert.Equal((2, 2), (tally.SuccessCount, (int)Assert.Single(failures.NonZero).Value));
        response.CountErrors(7, ref tally);
        Assert.Equal((2, 3), (tally.SuccessCount, (int)Assert.Single(failures.NonZero).Value));
        tally.Add(12_345);
        Assert.Equal(1, failures.NonZero.Single(each => each.Key == Ottla.Protocol.ErrorCode.UnknownServerError).Value);
    }

    /// <summary>How often a response counts the error.</summary>
    private static long CountErrors(IMessage response, short version)
    {
        var failures = new ErrorCounts();
        var count = response.GetType().GetMethod(nameof(ProduceResponse.CountErrors))!.CreateDelegate<Count>(response);
        var tally = new ErrorTally(failures);
        count(version, ref tally);
        return failures.NonZero.Sum(each => each.Key == (Ottla.Protocol.ErrorCode)Error ? each.Value : 0);
    }

    private delegate void Count(short version, ref ErrorTally tally);

    /// <summary>Whether a request names nothing somewhere: what is not asked for has no error.</summary>
    private static bool LeavesSomethingOut(object request) =>
        ValuesOf(request).Any(
            field =>
                field.Value is Array array
                    ? array.Length == 0 || ElementsOf(array).Any(LeavesSomethingOut)
                    : field.Value is null && field.Property.PropertyType.IsArray);

    private static IEnumerable<short> ErrorsIn(object response) => ValuesOf(response).SelectMany(field =>
        field.Property.Name is "ErrorCode" or "PartitionErrorCode"
            ? [(short)field.Value!]
            : field.Value is Array array ? ElementsOf(array).SelectMany(ErrorsIn) : []);

    private static IEnumerable<(PropertyInfo Property, object? Value)> ValuesOf(object message) =>
        from property in message.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance)
        where property.Name != "UnknownTaggedFields"
        select (property, property.GetValue(message));

    private static IEnumerable<object> ElementsOf(Array array) =>
        array.GetType().GetElementType() is { IsClass: true } type && type != typeof(string) ? array.Cast<object>() : [];
}
