using Microsoft.Extensions.Logging;
using Ottla.Client.Push;
using Ottla.Network.Buffers;

namespace Ottla.Client.Producing;

/// <summary>What the parts of one producer share.</summary>
/// <param name="Options">The producer's options.</param>
/// <param name="Memory">The memory of the client's producers.</param>
/// <param name="Buffers">Where batches come from.</param>
/// <param name="Time">The clock.</param>
/// <param name="Logger">The log.</param>
/// <param name="Rack">The rack whose leaders are preferred; null for none.</param>
/// <param name="Metrics">What is measured for the cluster; null when nothing is pushed.</param>
internal sealed record ProducerContext(
    ProducerOptions Options, MemoryLimit Memory, BufferPool Buffers, TimeProvider Time, ILogger Logger, string? Rack = null,
    ProducerMetrics? Metrics = null);
