using Ottla.Client.Calls;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Producing;

/// <summary>The id of an idempotent producer without transactions: any node gives one. Owned by the sender's loop.</summary>
/// <param name="client">The client.</param>
/// <param name="options">The producer's options.</param>
internal sealed class ProducerIdentity(OttlaClient client, ProducerOptions options)
{
    /// <summary>Id and epoch; null while they are not known.</summary>
    public ProducerIdAndEpoch? Current { get; set; }

    /// <summary>Whether a request for them is under way.</summary>
    public bool IsAsking { get; set; }

    /// <summary>Asks a node for an id.</summary>
    /// <exception cref="KafkaException">The cluster refuses, or does not answer in time.</exception>
    public async Task<ProducerIdAndEpoch> AskAsync()
    {
        var answer = await client.Calls.ToAnyNodeAsync<InitProducerIdRequest, InitProducerIdResponse>(
            _ => new InitProducerIdRequest
            {
                TransactionalId = null,
                TransactionTimeoutMs = (int)options.TransactionTimeout.TotalMilliseconds,
            },
            answer => new ApiError((ErrorCode)answer.ErrorCode), new CallOptions { HasConstantBackoff = true }, CancellationToken.None);
        return new ProducerIdAndEpoch(answer.ProducerId, answer.ProducerEpoch);
    }
}
