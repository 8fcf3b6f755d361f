using Ottla.Broker.Hosts;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Metadata;

/// <summary>Creates topics that clients ask for without having created them (<c>auto.create.topics.enable</c>).</summary>
public sealed class TopicAutoCreation(ControllerChannel controller, Func<BrokerConfig> config)
{
    /// <summary>Whether the broker may create topics by itself.</summary>
    public bool IsEnabled => config().AutoCreateTopicsEnable;

    /// <summary>Creates topics with the broker's defaults, and waits until they can be used.</summary>
    /// <returns>The error of each topic; <see cref="ErrorCode.None"/> also when it existed already.</returns>
    public async Task<IReadOnlyDictionary<string, ErrorCode>> CreateAsync(IReadOnlyList<string> names)
    {
        var request = new CreateTopicsRequest
        {
            Topics = [.. names.Select(name => new CreateTopicsRequest.CreatableTopic { Name = name, NumPartitions = -1, ReplicationFactor = -1 })],
            TimeoutMs = config().RequestTimeoutMs,
        };
        try
        {
            var response = await controller.SubmitAsync(new CreateTopicsCommand(request));
            return response.Topics.ToDictionary(topic => topic.Name, topic => Meaning((ErrorCode)topic.ErrorCode), StringComparer.Ordinal);
        }
        catch (ApiException e)
        {
            return names.ToDictionary(name => name, _ => e.Error.Code, StringComparer.Ordinal);
        }
    }

    /// <summary>What another client created meanwhile is as good.</summary>
    private static ErrorCode Meaning(ErrorCode error) => error == ErrorCode.TopicAlreadyExists ? ErrorCode.None : error;
}
