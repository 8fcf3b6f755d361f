using System.Diagnostics;
using Ottla.Client.Producing;

namespace Ottla.Client;

/// <summary>Who wants to know the outcome of a record, and the activity that ends with it.</summary>
/// <param name="activity">The activity.</param>
/// <param name="inner">Who wants to know.</param>
internal sealed class TracedDelivery(Activity activity, RecordCallback inner)
{
    /// <summary>Tells the outcome. A handler may throw.</summary>
    public void Tell(RecordMetadata metadata, KafkaException? error)
    {
        ClientTelemetry.EndSending(activity, metadata, error);
        inner.Tell(metadata, error);
    }
}
