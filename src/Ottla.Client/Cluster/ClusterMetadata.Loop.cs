using Ottla.Client.Calls;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Client.Cluster;

/// <summary>The loop: when to ask, whom, and what an answer means.</summary>
internal sealed partial class ClusterMetadata
{
    private long _waitMs;

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                _closed.ThrowIfCancellationRequested();
                if (NextAttempt() is { } due && due <= Instant.Now(_time))
                    await UpdateAsync();
                else
                    await _signal.WaitAsync(NextAttempt(), _closed);
            }
        }
        catch (OperationCanceledException) when (_closed.IsCancellationRequested)
        {
            // The client is closed.
        }
    }

    /// <summary>When to ask next; null for not before somebody wants it.</summary>
    private Instant? NextAttempt()
    {
        bool isWanted, isUrgent;
        lock (_lock)
            (isWanted, isUrgent) = (_wantedUpdate > _completedUpdate, _isUrgent);
        if (!isWanted)
            return _succeededAt?.AddMilliseconds((long)_options.MetadataMaxAge.TotalMilliseconds);
        var attempts = _failures > 0 ? _failures : isUrgent ? 0 : _repeats;
        return attempts == 0 || _attemptedAt is not { } last ? Instant.Now(_time) : last.AddMilliseconds(_waitMs);
    }

    private async Task UpdateAsync()
    {
        HashSet<string> topics = new(StringComparer.Ordinal);
        long number;
        bool wantsAll;
        lock (_lock)
        {
            number = _startedUpdate = Math.Max(_wantedUpdate, _startedUpdate + 1);
            _wantedUpdate = number;
            _isUrgent = false;
            wantsAll = _interests.Aggregate(false, (all, interest) => interest.AddTo(topics) | all);
            (_asked, _asksForAll) = (topics, wantsAll);
        }

        _attemptedAt = Instant.Now(_time);
        string failure;
        try
        {
            var channel = _connections.Shared.ToLeastLoaded(NodesToAsk(), _random.NextInt(int.MaxValue));
            var answer = _options.UsesControllers
                ? await DescribeControllersAsync(channel)
                : await channel.SendAsync<MetadataRequest, MetadataResponse>(
                    version => RequestOf(wantsAll ? null : topics, version), cancellation: _closed);
            if ((ErrorCode)answer.ErrorCode != ErrorCode.RebootstrapRequired)
            {
                Take(answer, topics, wantsAll, number);
                return;
            }

            failure = $"{channel.Address} is not the node that was meant";
            await RebootstrapAsync(failure);
        }
        catch (RequestFailedException e) when (!_closed.IsCancellationRequested)
        {
            failure = e.Message;
            if (e.IsRefusal())
                Refuse(e);
        }
        catch (ObjectDisposedException) when (_closed.IsCancellationRequested)
        {
            return;
        }

        Fail(failure);
    }

    /// <summary>What a controller says of the controllers (KIP-919), in the form in which brokers speak of themselves.</summary>
    private async Task<MetadataResponse> DescribeControllersAsync(RequestChannel channel)
    {
        const sbyte controllerEndpoints = 2;
        var answer = await channel.SendAsync<DescribeClusterRequest, DescribeClusterResponse>(
            new DescribeClusterRequest { EndpointType = controllerEndpoints }, cancellation: _closed);
        var error = (ErrorCode)answer.ErrorCode;
        if (error != ErrorCode.None && error != ErrorCode.RebootstrapRequired)
        {
            throw new RequestFailedException(
                error is ErrorCode.MismatchedEndpointType or ErrorCode.UnsupportedEndpointType or ErrorCode.UnsupportedVersion
                    ? RequestFailureKind.UnsupportedVersion
                    : RequestFailureKind.Disconnected,
                mayHaveBeenExecuted: true,
                $"{channel.Address} does not describe the controllers: {error.ToKafkaName()} {answer.ErrorMessage}");
        }

        return new MetadataResponse
        {
            ErrorCode = answer.ErrorCode,
            ClusterId = answer.ClusterId,
            ControllerId = answer.ControllerId,
            Brokers = [.. answer.Brokers.Select(node => new MetadataResponse.MetadataResponseBroker
            {
                NodeId = node.BrokerId,
                Host = node.Host,
                Port = node.Port,
                Rack = node.Rack,
            })],
        };
    }

    private IReadOnlyList<NodeAddress> NodesToAsk()
    {
        lock (_lock)
        {
            var known = _image.Nodes.Values;
            return _isBootstrapping || known.Length == 0 ? _connections.BootstrapNodes : [.. known.Select(node => node.Address)];
        }
    }

    private MetadataRequest RequestOf(HashSet<string>? topics, short version)
    {
        const short versionThatMayCreateNone = 4;
        return new MetadataRequest
        {
            Topics = topics is null ? null : [.. topics.Select(topic => new MetadataRequest.MetadataRequestTopic { Name = topic })],
            AllowAutoTopicCreation = _options.AllowAutoCreateTopics || version < versionThatMayCreateNone,
        };
    }

    private void Take(MetadataResponse answer, HashSet<string> asked, bool wantsAll, long number)
    {
        ClusterImage before, after;
        lock (_lock)
        {
            before = _image;
            var kept = new HashSet<string>(StringComparer.Ordinal);
            foreach (var interest in _interests)
                interest.AddTo(kept); // wanted since the request: not in the answer, and not to be forgotten
            if (wantsAll)
                kept.ExceptWith(asked); // an answer about all topics says that those that it does not name are gone
            _image = after = before.Apply(answer, kept);
            _isBootstrapping = false;
            _completedUpdate = number;
            _refusal = null;
        }

        _succeededAt = Instant.Now(_time);
        _failingSince = null;
        _failures = 0;
        _repeats = after.HasSameTopics(before) ? _repeats + 1 : 0;
        _waitMs = _repeats > 0 ? (long)_backoff.DelayAfter(_repeats).TotalMilliseconds : 0;
        Pulse();
        Changed?.Invoke(before, after);
        if (answer.Topics.Any(topic => (ErrorCode)topic.ErrorCode is ErrorCode.LeaderNotAvailable or ErrorCode.ListenerNotFound))
            RequestUpdate(); // it passes, and nobody may ask again
    }

    private void Refuse(RequestFailedException cause)
    {
        lock (_lock)
            _refusal = cause;
        Pulse();
    }

    private void Fail(string failure)
    {
        var now = Instant.Now(_time);
        _failures++;
        _waitMs = (long)_backoff.DelayAfter(_failures).TotalMilliseconds;
        _failingSince ??= now;
        var isOver = now.MillisecondsSince(_failingSince.Value) >= _options.RebootstrapTrigger.TotalMilliseconds;
        var nodes = _image.Nodes.Count;
        lock (_lock)
        {
            _lastFailure = failure;
            if (_options.MetadataRecovery != MetadataRecovery.Rebootstrap || _isBootstrapping || (_failures < nodes && !isOver))
                return;
            _isBootstrapping = true;
        }

        LogRebootstrap(_logger, $"none of {nodes} known nodes can be reached. The last attempt: {failure}");
    }
}
