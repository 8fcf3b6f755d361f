using Ottla.Kernel;
using Ottla.Network.Framing;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Requests;

namespace Ottla.Client.Producing;

/// <summary>Requests: putting them together and sending them.</summary>
internal sealed partial class ProducerSender
{
    private const short FirstProduceVersionWithTopicIds = 13;
    private readonly ProducerIdentity _identity;

    /// <summary>
    /// The most bytes of a request with several batches. Without sequences a partition has one batch under way: so half of the partitions
    /// are, while the leader deals with the other half.
    /// </summary>
    private readonly int _requestBytesMax;

    /// <summary>The producer's id and epoch; null while they are not known.</summary>
    private ProducerIdAndEpoch? Identity => _transactions is null ? _identity.Current : _transactions.Producer;

    /// <summary>Whether batches of the partition may be written now: the producer's id is known.</summary>
    private bool MayWrite(PartitionQueue queue)
    {
        if (!_context.Options.IsSequenced)
            return true;
        if (_transactions is not null && !_transactions.MayWrite(queue.Id))
            return false;
        if (Identity is not { } producer)
        {
            RequestProducerId();
            return false;
        }

        return !queue.Sequences.IsOther(producer) || queue.Sequences.IsEmpty; // takes over another id when nothing is under way
    }

    /// <summary>Puts a batch into its leader's next request; the request is sent first if the batch does not fit.</summary>
    private void Plan(SenderNode node, PartitionQueue queue, ProducerBatch batch, bool isRetry)
    {
        batch.Seal();
        if (node.Planned.Count > 0 && node.PlannedBytes + batch.Wire.Length > _requestBytesMax)
            Send(node);
        if (isRetry)
            queue.Sequences.Resend(batch);
        else
            queue.Sequences.Send(batch, _context.Options.IsSequenced ? Identity : null);
        batch.RetryAt = null;
        batch.Stamp(isTransactional: _transactions is not null);
        node.Add(batch);
    }

    /// <summary>Sends the requests that are put together.</summary>
    private void SendPlanned()
    {
        foreach (var node in _nodes.Values)
        {
            if (node.Planned.Count > 0)
                Send(node);
        }
    }

    private void Send(SenderNode node)
    {
        _hasSent = true;
        var image = _client.Metadata.Current;
        var exchange = new ProduceExchange(
            node, node.Address,
            [.. node.TakePlanned().GroupBy(batch => batch.Queue.Topic.Name)
                .Select(group => new ProducedTopic(group.Key, image.Topic(group.Key)?.Id ?? Uuid.Zero, [.. group]))]);
        _context.Metrics?.OnSending(exchange.Topics, Instant.Now(_time));
        node.Begin(exchange);
        _ = SendAsync(exchange);
    }

    private async Task SendAsync(ProduceExchange exchange)
    {
        ProduceResponse? answer = null;
        RequestFailedException? failure = null;
        var startedAt = _time.GetTimestamp();
        try
        {
            var hasIds = exchange.Topics.All(topic => topic.Id != Uuid.Zero);
            var versionMax = hasIds ? short.MaxValue : (short)(FirstProduceVersionWithTopicIds - 1);
            var channel = _connections.To(exchange.Address);
            if (_context.Options.Acks == Acks.None)
            {
                await channel.SendUnansweredAsync<ProduceRequest, ProduceResponse>(
                    version => RequestOf(exchange.Topics, version), versionMax);
                answer = AssumedAnswer(exchange, channel);
            }
            else
            {
                answer = await channel.SendAsync<ProduceRequest, ProduceResponse>(
                    version => RequestOf(exchange.Topics, version),
                    versionMax: Math.Min(versionMax, _transactions?.ProduceVersionMax ?? short.MaxValue));
            }
        }
        catch (RequestFailedException e)
        {
            failure = e;
        }
        catch (Exception e)
        {
            failure = new RequestFailedException(RequestFailureKind.Closed, mayHaveBeenExecuted: true, e.Message, e);
        }

        if (ClientTelemetry.TimesOperations)
        {
            ClientTelemetry.NoteOperation(
                "send", exchange.Address.Host, exchange.Address.Port, _time.GetElapsedTime(startedAt), failure?.Kind.ToString());
        }

        Post(() =>
        {
            (exchange.Answer, exchange.Failure) = (answer, failure);
            while (exchange.Node.TryTakeOver(out var over))
                OnEnded(over);
        });
    }

    /// <summary>
    /// What stands for the answer that a leader does not give with acks=0. One that refuses records closes the connection instead: then the
    /// metadata is asked for anew.
    /// </summary>
    private ProduceResponse AssumedAnswer(ProduceExchange exchange, RequestChannel channel)
    {
        var made = channel.ConnectionsMade;
        if (exchange.Node.ConnectionsMade is { } before && before != made)
            _client.Metadata.RequestUpdate();
        exchange.Node.ConnectionsMade = made;
        return new ProduceResponse
        {
            Responses = [.. exchange.Topics.Select(topic => new ProduceResponse.TopicProduceResponse
            {
                Name = topic.Name,
                PartitionResponses = [.. topic.Batches.Select(batch => new ProduceResponse.PartitionProduceResponse
                {
                    Index = batch.Queue.Partition,
                    BaseOffset = -1,
                    LogAppendTimeMs = -1,
                    LogStartOffset = -1,
                })],
            })],
        };
    }

    private ProduceRequest RequestOf(ProducedTopic[] topics, short version)
    {
        var hasIds = version >= FirstProduceVersionWithTopicIds;
        return new ProduceRequest
        {
            TransactionalId = _context.Options.TransactionalId,
            Acks = (short)_context.Options.Acks,
            TimeoutMs = (int)_client.Options.RequestTimeout.TotalMilliseconds,
            TopicData = [.. topics.Select(topic => new ProduceRequest.TopicProduceData
            {
                Name = hasIds ? "" : topic.Name,
                TopicId = hasIds ? topic.Id : Uuid.Zero,
                PartitionData = [.. topic.Batches.Select(batch => new ProduceRequest.PartitionProduceData
                {
                    Index = batch.Queue.Partition,
                    Records = new Records(new MemorySlice(batch.Wire)),
                })],
            })],
        };
    }

    private void RequestProducerId()
    {
        if (_identity.IsAsking)
            return;
        _identity.IsAsking = true;
        _ = AskAsync();

        async Task AskAsync()
        {
            ProducerIdAndEpoch? producer = null;
            KafkaException? failure = null;
            try
            {
                producer = await _identity.AskAsync();
            }
            catch (KafkaException e)
            {
                failure = e;
            }
            catch (ObjectDisposedException e)
            {
                failure = new FatalProducerException(ErrorCode.NetworkException, "The client was closed", e);
            }

            Post(() =>
            {
                _identity.IsAsking = false;
                if (producer is not null)
                    _identity.Current = producer;
                else if (failure is not KafkaTimeoutException)
                    BecomeFatal(failure as FatalProducerException
                        ?? new FatalProducerException(failure!.ErrorCode, "The cluster gives this producer no id", failure));
            });
        }
    }
}
